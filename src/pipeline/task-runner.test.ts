/** Reading the state of a network: complete, in the manifest's order, and in slices between which others have their turn. */
import { expect, test } from 'vitest';
import type { Manifest } from '../artifacts/index.js';
import { float32, type HostTensor } from '../files/tensor.js';
import type { DeviceTensor, Runtime } from '../runtime/runtime.js';
import { TaskRunner } from './task-runner.js';

const COUNT = 20;
const READ_MILLISECONDS = 4;

/** A runtime whose tensors take a while to read. */
const slow = {
  upload: (tensor: HostTensor) =>
    ({
      byteLength: 4,
      read: () => {
        const end = performance.now() + READ_MILLISECONDS;
        while (performance.now() < end);
        return tensor;
      },
      dispose: () => undefined,
    }) as Partial<DeviceTensor> as DeviceTensor,
} as Partial<Runtime> as Runtime;

const manifest = {
  parameters: Array.from({ length: COUNT }, (_, i) => ({ name: `p${i}`, shape: [], kind: 'parameter', module: 0 })),
  states: [{ name: 'momentum/p0', parameter: 'p0', shape: [] }],
} as Partial<Manifest> as Manifest;

test('others have their turn while the state of many tensors is read', async () => {
  const runner = new TaskRunner(slow, manifest);
  runner.load(new Map(manifest.parameters.map(({ name }, i) => [name, float32([], [i])])));
  let turns = 0;
  let over = false;
  const count = (): void => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  const weights = await runner.readWeights();
  over = true;
  expect([...weights].map(([name, { data }]) => [name, data[0]])).toEqual(
    manifest.parameters.map(({ name }, i) => [name, i]),
  );
  // A slice has two tensors.
  expect(turns).toBeGreaterThanOrEqual(COUNT / 2 - 1);
  expect([...(await runner.readOptimizer())]).toEqual([['momentum/p0', float32([], [0])]]);
  runner.dispose();
});
