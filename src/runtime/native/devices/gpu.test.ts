/** Sessions and tensors on a GPU, wherever the machine has one. */
import { beforeEach, describe, expect, it } from 'vitest';
import { float32 } from '../../../files/tensor.js';
import { sampleTensors, squares } from '../../../../test/small-models.js';
import type { Runtime } from '../../runtime.js';
import { createNativeRuntime } from '../runtime.js';
import { listDevices } from './index.js';

const statuses = await listDevices();

describe.each(['cuda', 'webgpu'])('%s', (kind) => {
  const status = statuses.find(({ name }) => name === `${kind}:0`)!;
  beforeEach(({ skip }) => skip(!status.usable, status.missing.map(({ problem }) => problem).join('; ')));

  const withRuntime = async (use: (runtime: Runtime) => Promise<void> | void): Promise<void> => {
    using runtime = await createNativeRuntime({ device: kind, threads: 1 });
    await use(runtime);
  };

  it.each(sampleTensors)('brings back what it took: $dtype $shape', (tensor) =>
    withRuntime((runtime) => {
      expect(runtime.device).toBe(`${kind}:0`);
      using there = runtime.upload(tensor);
      expect(there.read()).toEqual(tensor);
      using other = runtime.allocate(tensor.dtype, tensor.shape);
      other.write(tensor);
      expect(other.read()).toEqual(tensor);
    }),
  );

  it('computes with what lies there, and leaves the results there', () =>
    withRuntime(async (runtime) => {
      using session = await runtime.createSession(squares, { name: 'squares' });
      using x = runtime.upload(float32([3], [1, 2, 3]));
      using w = runtime.upload(float32([3], [10, 10, 10]));
      const first = await session.run(
        new Map([
          ['x', x],
          ['w', w],
        ]),
      );
      using y = first.get('y')!;
      using updated = first.get('updated')!;
      expect(y).toMatchObject({ device: `${kind}:0`, shape: [3], dtype: 'float32' });
      const second = await session.run(
        new Map([
          ['x', y],
          ['w', updated],
        ]),
        new Map(),
        ['updated'],
      );
      expect([...second.keys()]).toEqual(['updated']);
      using result = second.get('updated')!;
      expect([...(result.read().data as Float32Array)]).toEqual([9 - 1, 6 - 16, 1 - 81]);
    }));

  it('updates in place, again and again', () =>
    withRuntime(async (runtime) => {
      using session = await runtime.createSession(squares, { name: 'squares' });
      using x = runtime.upload(float32([2], [1, 2]));
      using w = runtime.upload(float32([2], [0, 0]));
      using y = runtime.allocate('float32', [2]);
      for (let step = 0; step < 50; step++) {
        const results = await session.run(
          new Map([
            ['x', x],
            ['w', w],
          ]),
          new Map([
            ['updated', w],
            ['y', y],
          ]),
        );
        expect(results.get('updated')).toBe(w);
      }
      expect([...(w.read().data as Float32Array)]).toEqual([-50, -200]);
      expect([...(y.read().data as Float32Array)]).toEqual([1, 4]);
    }));

  it('takes no tensors of other devices', () =>
    withRuntime(async (runtime) => {
      using cpu = await createNativeRuntime({ threads: 1 });
      using session = await runtime.createSession(squares, { name: 'squares' });
      using x = cpu.upload(float32([1], [1]));
      using w = runtime.upload(float32([1], [1]));
      const run = session.run(
        new Map([
          ['x', x],
          ['w', w],
        ]),
      );
      await expect(run).rejects.toThrow(
        `session 'squares' on ${kind}:0: feed 'x' lies on cpu; copy it with read and upload`,
      );
    }));

  it('says which session failed', () =>
    withRuntime(async (runtime) => {
      using session = await runtime.createSession(squares, { name: 'squares' });
      using x = runtime.upload(float32([2], [1, 2]));
      using w = runtime.upload(float32([3], [1, 2, 3]));
      const run = session.run(
        new Map([
          ['x', x],
          ['w', w],
        ]),
      );
      await expect(run).rejects.toThrow(expect.objectContaining({ code: 'RUN_FAILED' }) as Error);
    }));
});
