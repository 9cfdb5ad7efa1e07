import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type HpffError, InputError, RunError, UsageError } from '../../errors.js';
import { elementCount, float32 } from '../../files/tensor.js';
import type { DType, HostTensor } from '../../files/tensor.js';
import { floatTensor } from '../../../test/onnx-models.js';
import type { DeviceTensor, Runtime, Session, SessionOptions } from '../runtime.js';
import { createNativeRuntime } from './runtime.js';
import { deepModel, feedsOfDeepModel, smallModel } from '../../../test/small-models.js';

let runtime: Runtime;
/** What a test has made and the runtime must not be left with. */
const owned: { dispose(): void }[] = [];

beforeAll(async () => void (runtime = await createNativeRuntime({ threads: 1 })));
afterEach(() => owned.splice(0).forEach((thing) => thing.dispose()));
afterAll(() => runtime.dispose());

function own<T extends { dispose(): void }>(thing: T): T {
  owned.push(thing);
  return thing;
}

async function load(model: Uint8Array, name = 'graph'): Promise<Session> {
  return own(await runtime.createSession(model, { name }));
}

function vector(...values: number[]): DeviceTensor {
  return own(runtime.upload(float32([values.length], values)));
}

function read(tensor: DeviceTensor | undefined): number[] {
  return Array.from(tensor?.read().data ?? [], Number);
}

async function run(session: Session, ...args: Parameters<Session['run']>): Promise<Map<string, DeviceTensor>> {
  const outputs = await session.run(...args);
  for (const tensor of outputs.values()) own(tensor);
  return outputs;
}

/** sum = a + b, difference = a - b */
const sumAndDifference = smallModel({
  inputs: { a: ['N'], b: ['N'] },
  outputs: { sum: ['N'], difference: ['N'] },
  nodes: [
    ['Add', ['a', 'b'], ['sum']],
    ['Sub', ['a', 'b'], ['difference']],
  ],
});

const negate = smallModel({ inputs: { x: ['N'] }, outputs: { y: ['N'] }, nodes: [['Neg', ['x'], ['y']]] });

describe('a run', () => {
  it('computes every output', async () => {
    const session = await load(sumAndDifference);
    expect(session).toMatchObject({ name: 'graph', inputs: ['a', 'b'], outputs: ['sum', 'difference'] });
    const outputs = await run(session, new Map([['b', vector(10, 20)], ['a', vector(1, 2)]])); // prettier-ignore
    expect([...outputs.keys()]).toEqual(['sum', 'difference']);
    expect(outputs.get('sum')).toMatchObject({ dtype: 'float32', shape: [2], byteLength: 8, disposed: false });
    expect(read(outputs.get('sum'))).toEqual([11, 22]);
    expect(read(outputs.get('difference'))).toEqual([-9, -18]);
  });

  it('computes the wanted outputs only, in the order wanted', async () => {
    const session = await load(sumAndDifference);
    const feeds = new Map([['a', vector(1)], ['b', vector(2)]]); // prettier-ignore
    expect([...(await run(session, feeds, undefined, ['difference'])).keys()]).toEqual(['difference']);
    const both = await run(session, feeds, undefined, ['difference', 'sum']);
    expect([...both].map(([name, tensor]) => [name, ...read(tensor)])).toEqual([['difference', -1], ['sum', 3]]); // prettier-ignore
  });

  it('writes into given tensors and returns them', async () => {
    const session = await load(sumAndDifference);
    const target = vector(0, 0);
    const feeds = new Map([['a', vector(1, 2)], ['b', vector(3, 4)]]); // prettier-ignore
    const outputs = await run(session, feeds, new Map([['difference', target]]));
    expect(outputs.get('difference')).toBe(target);
    expect(read(target)).toEqual([-2, -2]);
    expect(read(outputs.get('sum'))).toEqual([4, 6]);
  });

  it('updates a tensor in place', async () => {
    const descend = await load(
      smallModel({
        inputs: { w: ['N'], g: ['N'], rate: [] },
        outputs: { next: ['N'] },
        nodes: [
          ['Mul', ['g', 'rate'], ['step']],
          ['Sub', ['w', 'step'], ['next']],
        ],
      }),
    );
    const w = vector(1, 2, 3);
    const rate = own(runtime.upload(float32([], [0.5])));
    const feeds = new Map([['w', w], ['g', vector(2, 2, 4)], ['rate', rate]]); // prettier-ignore
    for (let step = 0; step < 3; step++) await descend.run(feeds, new Map([['next', w]]));
    expect(read(w)).toEqual([-2, -1, -3]);
  });

  it('hands its output to the next session', async () => {
    const [first, second] = [await load(negate), await load(sumAndDifference)];
    const middle = (await run(first, new Map([['x', vector(1, 2)]]))).get('y')!;
    const outputs = await run(second, new Map([['a', middle], ['b', middle]])); // prettier-ignore
    expect(read(outputs.get('sum'))).toEqual([-2, -4]);
    expect(read(middle)).toEqual([-1, -2]);
  });

  it('leaves its outputs whole when session and feeds are gone', async () => {
    const session = await runtime.createSession(
      smallModel({
        inputs: { x: [2] },
        outputs: { copy: [2], constant: [2] },
        nodes: [['Identity', ['x'], ['copy']]],
        initializers: [floatTensor('constant', [2], [5, 6])],
      }),
      { name: 'constant' },
    );
    const x = runtime.upload(float32([2], [1, 2]));
    const outputs = await run(session, new Map([['x', x]]));
    session.dispose();
    x.dispose();
    for (let i = 0; i < 20; i++) vector(7, 7);
    expect(read(outputs.get('copy'))).toEqual([1, 2]);
    expect(read(outputs.get('constant'))).toEqual([5, 6]);
  });

  it('needs no inputs where the graph has none', async () => {
    const session = await load(
      smallModel({
        inputs: {},
        outputs: { y: [1] },
        nodes: [['Neg', ['k'], ['y']]],
        initializers: [floatTensor('k', [1], [3])],
      }),
    );
    expect(read((await run(session, new Map())).get('y'))).toEqual([-3]);
  });

  const values: HostTensor[] = [
    { dtype: 'float32', shape: [2], data: Float32Array.of(-0.5, Infinity) },
    { dtype: 'int64', shape: [2], data: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n) },
    { dtype: 'int32', shape: [2], data: Int32Array.of(-(2 ** 31), 2 ** 31 - 1) },
    { dtype: 'uint8', shape: [2], data: Uint8Array.of(0, 255) },
    { dtype: 'bool', shape: [2], data: Uint8Array.of(0, 1) },
  ];
  it.each(values)('moves $dtype elements of any shape', async ({ dtype, data }) => {
    const session = await load(
      smallModel({
        inputs: { x: { dtype, shape: null } },
        outputs: { y: { dtype, shape: null } },
        nodes: [['Identity', ['x'], ['y']]],
      }),
    );
    for (const shape of [[2], [2, 1], [], [0], [3, 0, 2]]) {
      const host = { dtype, shape, data: data.slice(0, elementCount(shape)) } as HostTensor;
      const y = (await run(session, new Map([['x', own(runtime.upload(host))]]))).get('y')!;
      expect(y.read()).toEqual(host);
    }
  });

  it('knows unicode names', async () => {
    const session = await load(
      smallModel({ inputs: { größe: [1] }, outputs: { 出力: [1] }, nodes: [['Neg', ['größe'], ['出力']]] }),
    );
    expect(read((await run(session, new Map([['größe', vector(2)]]))).get('出力'))).toEqual([-2]);
  });
});

describe('the event loop', () => {
  it('turns while a run is in flight, and a short run overtakes a long one', async () => {
    const long = await load(deepModel(160), 'long');
    const short = await load(negate, 'short');
    const feeds = feedsOfDeepModel(runtime, 16);
    feeds.forEach(own);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const ended: string[] = [];
    await Promise.all([
      run(long, feeds).then(() => ended.push('long')),
      run(short, new Map([['x', vector(1)]])).then(() => ended.push('short')),
    ]);
    clearInterval(timer);
    expect(ended).toEqual(['short', 'long']);
    expect(ticks).toBeGreaterThan(5);
  });

  it('takes more runs at once than there are threads to run them', async () => {
    const session = await load(negate);
    const feeds = new Map([['x', vector(4)]]);
    const outputs = await Promise.all(Array.from({ length: 600 }, () => run(session, feeds)));
    expect(outputs.every((output) => read(output.get('y'))[0] === -4)).toBe(true);
  });
});

describe('refusals', () => {
  /** Expects an error of the class and code whose one line is the message, or matches it. */
  async function expectRefusal(
    attempt: Promise<unknown>,
    type: typeof UsageError | typeof InputError | typeof RunError,
    code: string,
    message: string | RegExp,
  ): Promise<void> {
    const error: unknown = await attempt.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(type);
    expect((error as HpffError).code).toBe(code);
    if (typeof message === 'string') expect((error as Error).message).toBe(message);
    else expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain('\n');
  }

  it('of feeds that are missing or unknown', async () => {
    const session = await load(sumAndDifference);
    const a = vector(1);
    await expectRefusal(
      session.run(new Map([['a', a]])),
      UsageError,
      'FEED_MISSING',
      "session 'graph': input 'b' is not fed; needed: a, b; fed: a",
    );
    await expectRefusal(
      session.run(new Map([['a', a], ['b', a], ['c', a]])), // prettier-ignore
      UsageError,
      'RUN_NAME',
      "session 'graph': unknown feed 'c'; allowed: a, b",
    );
  });

  it('of outputs that are unknown, not wanted or wanted twice', async () => {
    const session = await load(sumAndDifference);
    const feeds = new Map([['a', vector(1)], ['b', vector(2)]]); // prettier-ignore
    await expectRefusal(
      session.run(feeds, undefined, ['product']),
      UsageError,
      'RUN_NAME',
      "session 'graph': unknown wanted output 'product'; allowed: sum, difference",
    );
    await expectRefusal(
      session.run(feeds, new Map([['difference', vector(0)]]), ['sum']),
      UsageError,
      'RUN_NAME',
      "session 'graph': unknown output to write into 'difference'; allowed: sum",
    );
    await expectRefusal(
      session.run(feeds, undefined, ['sum', 'sum']),
      UsageError,
      'OUTPUT_TWICE',
      "session 'graph': an output is wanted twice in: sum, sum",
    );
    await expectRefusal(session.run(feeds, undefined, []), RunError, 'RUN_FAILED', /^session 'graph': .*output/);
  });

  it('of one tensor for two outputs', async () => {
    const session = await load(sumAndDifference);
    const target = vector(0);
    await expectRefusal(
      session.run(
        new Map([['a', vector(1)], ['b', vector(2)]]), // prettier-ignore
        new Map([['sum', target], ['difference', target]]), // prettier-ignore
      ),
      UsageError,
      'OUTPUT_SHARED',
      "session 'graph': two outputs would be written into the same tensor, among: sum, difference",
    );
  });

  it('of an output that is an input: ONNX Runtime would not copy it', async () => {
    const session = await load(
      smallModel({ inputs: { x: ['N'] }, outputs: { x: ['N'], y: ['N'] }, nodes: [['Neg', ['x'], ['y']]] }),
    );
    const feeds = new Map([['x', vector(1)]]);
    await expectRefusal(session.run(feeds), UsageError, 'OUTPUT_IS_INPUT', /^session 'graph': output 'x' is an input/);
    expect(read((await run(session, feeds, undefined, ['y'])).get('y'))).toEqual([-1]);
  });

  it('of tensors that are disposed or not ours', async () => {
    const session = await load(negate);
    const gone = runtime.upload(float32([1], [1]));
    gone.dispose();
    await expectRefusal(
      session.run(new Map([['x', vector(1)]]), new Map([['y', gone]])),
      UsageError,
      'RUNTIME_DISPOSED',
      "session 'graph': output 'y' was used after it was disposed",
    );
    const foreign = { ...vector(1) };
    await expectRefusal(
      session.run(new Map([['x', foreign]])),
      UsageError,
      'TENSOR_FOREIGN',
      "session 'graph': feed 'x' is no tensor of a native runtime",
    );
  });

  it('of tensors that do not fit the graph, and goes on working', async () => {
    const session = await load(negate);
    const x = vector(1, 2);
    const wrong: [string, DeviceTensor, DeviceTensor | undefined][] = [
      ['dtype of a feed', own(runtime.allocate('int32', [2])), undefined],
      ['rank of a feed', own(runtime.allocate('float32', [2, 1])), undefined],
      ['dtype of an output', x, own(runtime.allocate('int32', [2]))],
      ['shape of an output', x, own(runtime.allocate('float32', [3]))],
    ];
    for (const [, feed, target] of wrong) {
      const into = target && new Map([['y', target]]);
      await expectRefusal(session.run(new Map([['x', feed]]), into), RunError, 'RUN_FAILED', /^session 'graph': \S/);
    }
    expect(read((await run(session, new Map([['x', x]]))).get('y'))).toEqual([-1, -2]);
  });

  it('of outputs with elements that hpff does not move', async () => {
    const session = await load(
      smallModel({
        inputs: { x: ['N'] },
        outputs: { y: ['N'], wide: { dtype: 'float64', shape: ['N'] } },
        nodes: [
          ['Neg', ['x'], ['y']],
          ['Cast', ['x'], ['wide'], { to: 11 }],
        ],
      }),
    );
    await expectRefusal(
      session.run(new Map([['x', vector(1)]])),
      RunError,
      'OUTPUT_TYPE',
      "session 'graph': output 'wide' is no tensor of a type that hpff moves",
    );
  });

  it('of models that are broken', async () => {
    const unknownOperator = smallModel({ inputs: { x: [1] }, outputs: { y: [1] }, nodes: [['Nope', ['x'], ['y']]] });
    const truncated = negate.subarray(0, negate.length / 2);
    for (const model of [new Uint8Array(0), Uint8Array.of(1, 2, 3), truncated, unknownOperator]) {
      await expectRefusal(
        runtime.createSession(model, { name: 'broken' }),
        InputError,
        'MODEL_REJECTED',
        /^session 'broken': ONNX Runtime refused the model: \S/,
      );
    }
  });

  it('of unknown options', async () => {
    const options = { name: 'graph', optimization: 'most' } as unknown as SessionOptions;
    await expectRefusal(
      runtime.createSession(negate, options),
      UsageError,
      'SESSION_OPTION',
      "session 'graph': optimization is 'most'; allowed: disabled, basic, extended, all",
    );
  });

  it('of tensors that a run in flight writes, and of writing what it reads', async () => {
    const session = await load(deepModel(4));
    const clash = await load(negate, 'clash');
    const feeds = feedsOfDeepModel(runtime, 2);
    feeds.forEach(own);
    const [x, w] = [feeds.get('x')!, feeds.get('w')!];
    const y = own(runtime.allocate('float32', [16]));
    const into = new Map([['y', y]]);
    const running = session.run(feeds, into);

    const writing =
      /^tensor float32 \[16\] cannot be (read|written) now: session 'graph' is writing it; await that run first$/;
    expect(() => y.read()).toThrow(writing);
    expect(() => y.write(float32([16], new Float32Array(16)))).toThrow(writing);
    await expectRefusal(session.run(feeds, into), UsageError, 'TENSOR_BUSY', writing);
    expect(() => w.write(w.read())).toThrow('cannot be written now: a run in flight reads it');

    const vectorOut = new Map([['y', y]]);
    await expectRefusal(clash.run(new Map([['x', y]])), UsageError, 'TENSOR_BUSY', writing);
    await expectRefusal(clash.run(new Map([['x', vector(1)]]), vectorOut), UsageError, 'TENSOR_BUSY', writing);

    await running;
    expect(read(y)).toHaveLength(16);
    x.write(x.read());
    await session.run(feeds, into);
  });
});

describe('tensors', () => {
  it('are written and read', () => {
    const tensor = vector(1, 2, 3);
    tensor.write(float32([3], [4, 5, 6]));
    expect(read(tensor)).toEqual([4, 5, 6]);
    tensor.write(float32([1, 3], [7, 8, 9]));
    const target = float32([3], new Float32Array(3));
    tensor.readInto(target);
    expect(target).toEqual(float32([3], [7, 8, 9]));
  });

  it('do not follow the array they were uploaded from, nor the array they were read into', () => {
    const source = Float32Array.of(1, 2);
    const tensor = own(runtime.upload(float32([2], source)));
    source.fill(9);
    (tensor.read().data as Float32Array).fill(9);
    expect(read(tensor)).toEqual([1, 2]);
  });

  it('take part of a larger array, and a shared one', () => {
    const larger = Float32Array.of(0, 1, 2, 0);
    expect(read(own(runtime.upload(float32([2], larger.subarray(1, 3)))))).toEqual([1, 2]);
    const shared = new Float32Array(new SharedArrayBuffer(8));
    shared.set([3, 4]);
    expect(read(own(runtime.upload(float32([2], shared))))).toEqual([3, 4]);
  });

  it.each([[[-1]], [[1.5]], [[NaN]], [[2 ** 40, 2 ** 40]]])('cannot have the shape %j', (shape) => {
    expect(() => runtime.allocate('float32', shape)).toThrow(
      new UsageError(
        'TENSOR_SHAPE',
        `tensor float32 [${shape.join(', ')}]: dimensions must be whole numbers from 0 that multiply to a safe integer of bytes`,
      ),
    );
  });

  it('must fit into memory', () => {
    expect(() => runtime.allocate('float32', [2 ** 45])).toThrow(
      /^tensor float32 \[35184372088832\]: 140737488355328 bytes could not be allocated/,
    );
  });

  it('must have a known dtype and data that fill the shape', () => {
    expect(() => runtime.allocate('float64' as DType, [1])).toThrow(
      "tensor has dtype 'float64'; allowed: float32, uint8, int32, int64, bool",
    );
    expect(() => runtime.upload(float32([3], [1, 2]))).toThrow(
      'tensor float32 [3] needs a Float32Array of 3 elements, found Float32Array of 2',
    );
    expect(() =>
      runtime.upload({ dtype: 'float32', shape: [1], data: Int32Array.of(1) } as unknown as HostTensor),
    ).toThrow('tensor float32 [1] needs a Float32Array of 1 elements, found Int32Array of 1');
    expect(() => vector(1, 2).write(float32([3], [1, 2, 3]))).toThrow(
      'tensor float32 [2] holds 2 elements of float32, found float32 [3] on the other side of the copy',
    );
    expect(() => vector(1).readInto({ dtype: 'int32', shape: [1], data: Int32Array.of(1) })).toThrow(
      'tensor float32 [1] holds 1 elements of float32, found int32 [1] on the other side of the copy',
    );
  });
});
