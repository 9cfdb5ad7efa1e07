/** The web runtime on onnxruntime-web's WebAssembly, in Node. */
import * as ort from 'onnxruntime-web/wasm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InputError, RunError, UsageError } from '../../errors.js';
import { float32 } from '../../files/tensor.js';
import { deepModel, feedsOfDeepModel, sampleTensors, squares } from '../../../test/small-models.js';
import type { DeviceTensor, Runtime, Session } from '../runtime.js';
import { createWebRuntime } from './index.js';

ort.env.wasm.numThreads = 1;

let runtime: Runtime;
/** What a test has made and the runtime must not be left with. */
const owned: { dispose(): void }[] = [];

beforeEach(() => void (runtime = createWebRuntime(ort)));
afterEach(() => {
  for (const thing of owned.splice(0)) thing.dispose();
  runtime.dispose();
});

function own<T extends { dispose(): void }>(thing: T): T {
  owned.push(thing);
  return thing;
}

const load = async (model = squares): Promise<Session> => own(await runtime.createSession(model, { name: 'graph' }));
const vector = (...values: number[]): DeviceTensor => own(runtime.upload(float32([values.length], values)));
const numbers = (tensor: DeviceTensor): number[] => [...(tensor.read().data as Float32Array)];
const failure = (code: string, text: string): Error =>
  expect.objectContaining({ code, message: expect.stringContaining(text) as string }) as Error;

it('says what it is', () => {
  expect(runtime.device).toBe('wasm');
  expect(runtime.version).toBe('1.30.0');
});

describe('a tensor', () => {
  it.each(sampleTensors)('brings back what it took: $dtype $shape', (tensor) => {
    const there = own(runtime.upload(tensor));
    expect(there.read()).toEqual(tensor);
    const other = own(runtime.allocate(tensor.dtype, tensor.shape));
    other.write(tensor);
    expect(other.read()).toEqual(tensor);
    expect(other.byteLength).toBe(tensor.data.byteLength);
  });

  it('is a copy, and gives copies', () => {
    const data = Float32Array.of(1, 2);
    const tensor = own(runtime.upload(float32([2], data)));
    data[0] = 9;
    (tensor.read().data as Float32Array)[1] = 9;
    expect(numbers(tensor)).toEqual([1, 2]);
    const target = float32([2], [0, 0]);
    tensor.readInto(target);
    expect([...target.data]).toEqual([1, 2]);
  });

  it('refuses what does not fit', () => {
    const tensor = vector(1, 2);
    expect(() => tensor.write(float32([3], [1, 2, 3]))).toThrow(failure('TENSOR_MISMATCH', 'holds 2 elements'));
    expect(() => runtime.upload({ dtype: 'float32', shape: [2], data: new Float32Array(3) })).toThrow(UsageError);
    expect(() => runtime.allocate('float32', [-1])).toThrow(failure('TENSOR_SHAPE', 'float32 [-1]'));
  });

  it('is of no use after disposal, which may be said twice', () => {
    const tensor = runtime.upload(float32([1], [1]));
    tensor.dispose();
    tensor.dispose();
    expect(tensor.disposed).toBe(true);
    expect(() => tensor.read()).toThrow(failure('RUNTIME_DISPOSED', 'float32 [1]'));
  });
});

describe('a run', () => {
  it('computes every output, or those wanted', async () => {
    const session = await load();
    expect(session).toMatchObject({ name: 'graph', inputs: ['x', 'w'], outputs: ['y', 'updated'] });
    const feeds = new Map([['w', vector(10, 10)], ['x', vector(1, 2)]]); // prettier-ignore
    const all = await session.run(feeds);
    expect([...all.keys()]).toEqual(['y', 'updated']);
    for (const tensor of all.values()) own(tensor);
    expect(numbers(all.get('updated')!)).toEqual([9, 6]);
    const some = await session.run(feeds, undefined, ['y']);
    for (const tensor of some.values()) own(tensor);
    expect([...some.keys()]).toEqual(['y']);
    expect(numbers(some.get('y')!)).toEqual([1, 4]);
  });

  it('updates in place, again and again', async () => {
    const session = await load();
    const [x, w, y] = [vector(1, 2), vector(0, 0), own(runtime.allocate('float32', [2]))];
    const into = new Map([['updated', w], ['y', y]]); // prettier-ignore
    for (let step = 0; step < 3; step++) {
      const results = await session.run(new Map([['x', x], ['w', w]]), into); // prettier-ignore
      expect(results.get('updated')).toBe(w);
    }
    expect([numbers(w), numbers(y)]).toEqual([[-3, -12], [1, 4]]); // prettier-ignore
  });

  it('waits for the one before it', async () => {
    const session = await load();
    const w = vector(0, 0);
    const runs = [vector(1, 2), vector(3, 4)].map((x) => session.run(new Map([['x', x], ['w', w]]), undefined, ['y'])); // prettier-ignore
    const results = (await Promise.all(runs)).map((outputs) => numbers(own(outputs.get('y')!)));
    expect(results).toEqual([[1, 4], [9, 16]]); // prettier-ignore
  });

  it('keeps others away from what it writes, and from writing what it reads', async () => {
    const session = await load();
    const [x, w] = [vector(1, 2), vector(0, 0)];
    const run = session.run(new Map([['x', x], ['w', w]]), new Map([['updated', w]]), ['updated']); // prettier-ignore
    expect(() => w.read()).toThrow(failure('TENSOR_BUSY', 'a run in flight writes it'));
    expect(() => x.write(float32([2], [0, 0]))).toThrow(failure('TENSOR_BUSY', 'a run in flight reads it'));
    await run;
    expect(numbers(w)).toEqual([-1, -4]);
  });

  it('ends well where session and feeds are disposed meanwhile', async () => {
    const session = await runtime.createSession(deepModel(2), { name: 'deep' });
    const feeds = new Map([...feedsOfDeepModel(runtime, 2)]);
    const run = session.run(feeds);
    session.dispose();
    for (const tensor of feeds.values()) tensor.dispose();
    expect(() => runtime.dispose()).toThrow(failure('RUNTIME_IN_USE', '1 sessions and 0 tensors'));
    expect(own((await run).get('y')!).shape).toEqual([16]);
    await expect(session.run(feeds)).rejects.toThrow(failure('RUNTIME_DISPOSED', "session 'deep'"));
  });

  it('names the session in its errors', async () => {
    const session = await load();
    const x = vector(1, 2);
    await expect(session.run(new Map([['x', x]]))).rejects.toThrow(
      failure('FEED_MISSING', "session 'graph': input 'w'"),
    );
    const unfit = session.run(new Map([['x', x], ['w', vector(1, 2, 3)]])); // prettier-ignore
    await expect(unfit).rejects.toThrow(RunError);
    const small = session.run(new Map([['x', x], ['w', vector(1, 2)]]), new Map([['y', vector(1)]])); // prettier-ignore
    await expect(small).rejects.toThrow(
      failure('RUN_FAILED', "output 'y' is float32 [2], to be written into float32 [1]"),
    );
    const foreign = { ...x };
    await expect(session.run(new Map([['x', foreign], ['w', x]]))).rejects.toThrow(failure('TENSOR_FOREIGN', 'web runtime')); // prettier-ignore
  });
});

it('says when onnxruntime-web cannot compute with the provider', async () => {
  using other = createWebRuntime(ort, { provider: 'webnn' });
  const loading = other.createSession(squares, { name: 'graph' });
  await expect(loading).rejects.toThrow(failure('DEVICE_UNAVAILABLE', "with the provider 'webnn'"));
});

it('refuses the proxy of ONNX Runtime, which would take the memory of tensors away', async () => {
  ort.env.wasm.proxy = true;
  try {
    const loading = runtime.createSession(squares, { name: 'graph' });
    await expect(loading).rejects.toThrow(failure('SESSION_OPTION', 'ort.env.wasm.proxy is set'));
  } finally {
    ort.env.wasm.proxy = false;
  }
});

it('refuses a model that ONNX Runtime refuses', async () => {
  const loading = runtime.createSession(Uint8Array.of(1, 2, 3), { name: 'broken' });
  await expect(loading).rejects.toThrow(InputError);
  await expect(loading).rejects.toThrow(failure('MODEL_REJECTED', "session 'broken'"));
});

it('is not disposed while something of it is alive', async () => {
  const session = await runtime.createSession(squares, { name: 'graph' });
  expect(() => runtime.dispose()).toThrow(failure('RUNTIME_IN_USE', '1 sessions and 0 tensors'));
  session.dispose();
  runtime.dispose();
  expect(() => runtime.allocate('float32', [1])).toThrow(failure('RUNTIME_DISPOSED', 'runtime'));
});
