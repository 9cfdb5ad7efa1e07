import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UsageError } from '../../errors.js';
import { float32 } from '../../files/tensor.js';
import type { Runtime } from '../runtime.js';
import { availableProviders, createNativeRuntime, type NativeRuntimeOptions } from './runtime.js';
import { deepModel, feedsOfDeepModel, smallModel } from '../../../test/small-models.js';

const negate = smallModel({ inputs: { x: ['N'] }, outputs: { y: ['N'] }, nodes: [['Neg', ['x'], ['y']]] });

/** Negates 1, 2 on a runtime of its own. */
async function negateOnce(options: NativeRuntimeOptions): Promise<number[]> {
  using runtime = await createNativeRuntime(options);
  using session = await runtime.createSession(negate, { name: 'negate' });
  using x = runtime.upload(float32([2], [1, 2]));
  using y = (await session.run(new Map([['x', x]]))).get('y')!;
  return [...(y.read().data as Float32Array)];
}

// Only glibc can be asked to.
const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header;

it.runIf(glibcVersionRuntime !== undefined)('gives freed memory back to the operating system', async () => {
  using runtime = await createNativeRuntime({ threads: 1 });
  const tensor = float32([2 ** 14], new Float32Array(2 ** 14).fill(1));
  const freed = Array.from({ length: 1000 }, () => runtime.upload(tensor));
  // Lies behind the others, which therefore cannot be given back by themselves.
  using kept = runtime.upload(tensor);
  for (const each of freed) each.dispose();
  const before = process.memoryUsage.rss();
  runtime.trim();
  expect(before - process.memoryUsage.rss()).toBeGreaterThan(40e6);
  expect(kept.read().data).toEqual(tensor.data);
});

describe('createNativeRuntime', () => {
  it('says what it runs on', async () => {
    using runtime = await createNativeRuntime({ threads: 2 });
    expect(runtime).toMatchObject({ device: 'cpu', threads: 2 });
    expect(runtime.version).toMatch(/^1\.30\.\d+$/);
    expect(availableProviders()).toContain('CPUExecutionProvider');
  });

  it.each([0, -1, 1.5, NaN, 1e6])('refuses %d threads', async (threads) => {
    await expect(createNativeRuntime({ threads })).rejects.toThrow(
      new UsageError('RUNTIME_THREADS', `runtime: threads is ${threads}; allowed: 1 to 1024`),
    );
  });

  it('can be had again and again, with other threads each time', async () => {
    for (let round = 0; round < 12; round++) {
      expect(await negateOnce({ threads: 1 + (round % 3), spinning: round % 2 === 0 })).toEqual([-1, -2]);
    }
  });

  it('gives a runtime its threads beside a living one that has others', async () => {
    using first = await createNativeRuntime({ threads: 1 });
    using second = await createNativeRuntime({ threads: 2 });
    using third = await createNativeRuntime({ threads: 1 });
    expect([first, second, third].map((runtime) => runtime.sharedPool)).toEqual([true, false, true]);
    expect(await negateOnce({ threads: 2 })).toEqual([-1, -2]);
  });

  it('takes an option that is undefined for one that is left out', async () => {
    using first = await createNativeRuntime({ threads: 1 });
    using second = await createNativeRuntime({ threads: 1, spinning: undefined, memoryPattern: undefined });
    expect([first.sharedPool, second.sharedPool]).toEqual([true, true]);
  });

  it('runs with a memory pattern', async () => {
    expect(await negateOnce({ memoryPattern: true })).toEqual([-1, -2]);
  });
});

describe('threads of its own for runs', () => {
  it('compute what the others do, as often as it is asked, also side by side', async () => {
    using runtime = await createNativeRuntime({ threads: 1, runThreads: 2 });
    using session = await runtime.createSession(negate, { name: 'negate' });
    const results = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        using x = runtime.upload(float32([2], [i + 1, 2 * i + 1]));
        using y = (await session.run(new Map([['x', x]]))).get('y')!;
        return [...(y.read().data as Float32Array)];
      }),
    );
    expect(results).toEqual(results.map((_, i) => [-i - 1, -2 * i - 1]));
  });

  it('pass failures on, and go on working', async () => {
    using runtime = await createNativeRuntime({ threads: 1, runThreads: 1 });
    using session = await runtime.createSession(negate, { name: 'negate' });
    using wrong = runtime.allocate('int32', [2]);
    using x = runtime.upload(float32([2], [1, 2]));
    for (let round = 0; round < 3; round++) {
      await expect(session.run(new Map([['x', wrong]]))).rejects.toMatchObject({ code: 'RUN_FAILED' });
      using y = (await session.run(new Map([['x', x]]))).get('y')!;
      expect([...(y.read().data as Float32Array)]).toEqual([-1, -2]);
    }
  });

  it.each([-1, 1.5, NaN, 1e6])('are not %d', async (runThreads) => {
    await expect(createNativeRuntime({ runThreads })).rejects.toThrow(
      new UsageError('RUNTIME_THREADS', `runtime: runThreads is ${runThreads}; allowed: 0 to 1024`),
    );
  });
});

describe('disposal', () => {
  let runtime: Runtime;
  beforeEach(async () => void (runtime = await createNativeRuntime({ threads: 1 })));
  afterEach(() => runtime.dispose());

  it('of a runtime is refused while sessions or tensors are alive', async () => {
    const session = await runtime.createSession(negate, { name: 'negate' });
    const tensors = [runtime.allocate('bool', [1]), runtime.allocate('bool', [1])];
    expect(() => runtime.dispose()).toThrow(
      new UsageError(
        'RUNTIME_IN_USE',
        'runtime cannot be disposed: 1 sessions and 2 tensors are still alive; dispose them first',
      ),
    );
    for (const owned of [session, ...tensors]) owned.dispose();
  });

  it('of a runtime is refused while a session loads', async () => {
    const loading = runtime.createSession(negate, { name: 'negate' });
    expect(() => runtime.dispose()).toThrow(/1 sessions/);
    (await loading).dispose();
  });

  it('twice is harmless; use afterwards is an error that names the thing', async () => {
    const session = await runtime.createSession(negate, { name: 'negate' });
    const tensor = runtime.upload(float32([2], [1, 2]));
    const feeds = new Map([['x', tensor]]);
    tensor.dispose();
    tensor.dispose();
    expect(tensor.disposed).toBe(true);
    const used = 'was used after it was disposed';
    expect(() => tensor.read()).toThrow(new UsageError('RUNTIME_DISPOSED', `tensor float32 [2] ${used}`));
    expect(() => tensor.write(float32([2], [1, 2]))).toThrow(`tensor float32 [2] ${used}`);
    await expect(session.run(feeds)).rejects.toThrow(`session 'negate': feed 'x' ${used}`);
    session.dispose();
    session.dispose();
    await expect(session.run(feeds)).rejects.toThrow(`session 'negate' ${used}`);
    runtime.dispose();
    runtime.dispose();
    expect(() => runtime.allocate('bool', [1])).toThrow(`runtime ${used}`);
    await expect(runtime.createSession(negate, { name: 'negate' })).rejects.toThrow(`runtime ${used}`);
  });

  it('during a run takes effect when the run ends', async () => {
    const session = await runtime.createSession(deepModel(12), { name: 'deep' });
    const feeds = feedsOfDeepModel(runtime, 8);
    const running = session.run(feeds);
    session.dispose();
    for (const tensor of feeds.values()) tensor.dispose();
    expect(() => runtime.dispose()).toThrow('1 sessions and 2 tensors are still alive');
    const outputs = await running;
    for (const tensor of outputs.values()) {
      expect(tensor.read().data.every((element) => Number.isFinite(Number(element)))).toBe(true);
      tensor.dispose();
    }
  });

  it('that was forgotten is made up for when the owner is collected', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    for (let i = 0; i < 10; i++) runtime.allocate('float32', [100]);
    for (let i = 0; i < 50; i++) {
      await delay(10);
      collect();
      try {
        runtime.dispose();
        break;
      } catch {
        // Not all of them are collected yet.
      }
    }
    expect(() => runtime.dispose()).not.toThrow();
  });
});

describe('numbers', () => {
  /** Does the same work on 1, 2 and 3 threads of the shared pool, one runtime after the other. */
  async function onEachPool<T>(work: (runtime: Runtime) => Promise<T>): Promise<T[]> {
    const results: T[] = [];
    for (const threads of [1, 2, 3]) {
      using runtime = await createNativeRuntime({ threads });
      expect(runtime.sharedPool).toBe(true);
      results.push(await work(runtime));
    }
    return results;
  }

  it('do not depend on the number of threads', async () => {
    const [one, ...others] = await onEachPool(async (runtime) => {
      using session = await runtime.createSession(deepModel(3), { name: 'deep' });
      const feeds = feedsOfDeepModel(runtime, 8);
      using y = (await session.run(feeds)).get('y')!;
      for (const tensor of feeds.values()) tensor.dispose();
      return new Uint8Array(y.read().data.buffer);
    });
    expect(new Set(one).size).toBeGreaterThan(1);
    for (const other of others) expect(other).toEqual(one);
  });

  it('too small to be normal are kept, whichever thread computes them', async () => {
    const model = smallModel({
      inputs: { x: ['N'], k: [1] },
      outputs: { y: ['N'] },
      nodes: [['Mul', ['x', 'k'], ['y']]],
    });
    const tiny = float32([1 << 20], new Float32Array(1 << 20).fill(1e-30));
    const product = Math.fround(Math.fround(1e-30) * Math.fround(1e-10));
    await onEachPool(async (runtime) => {
      using session = await runtime.createSession(model, { name: 'scale' });
      using x = runtime.upload(tiny);
      using k = runtime.upload(float32([1], [1e-10]));
      const feeds = new Map([
        ['x', x],
        ['k', k],
      ]);
      for (let i = 0; i < 6; i++) {
        using y = (await session.run(feeds)).get('y')!;
        expect(y.read().data.every((element) => element === product)).toBe(true);
      }
    });
  });
});

describe('memory', () => {
  it('stays flat over thousands of runs', async () => {
    using runtime = await createNativeRuntime({ threads: 1 });
    using session = await runtime.createSession(negate, { name: 'negate' });
    const host = float32([1 << 14], new Float32Array(1 << 14));
    const rounds = async (count: number): Promise<number> => {
      for (let i = 0; i < count; i++) {
        using x = runtime.upload(host);
        using y = (await session.run(new Map([['x', x]]))).get('y')!;
        if (i % 10 === 0) y.read();
        // A run that fails must let go of what it held, too.
        using wrong = runtime.allocate('int32', [1 << 14]);
        if (i % 10 === 0) await session.run(new Map([['x', wrong]])).catch(() => undefined);
      }
      return process.memoryUsage().rss;
    };
    const before = await rounds(300);
    const after = await rounds(2000);
    // One forgotten tensor a run would be 131 MB.
    expect((after - before) / 1e6).toBeLessThan(50);
  });
});
