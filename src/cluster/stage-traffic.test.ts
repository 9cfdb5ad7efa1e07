/** What the coordinator takes from a stage, and what it does not. */
import { describe, expect, test } from 'vitest';
import { float32, type HostTensor } from '../files/tensor.js';
import type { ClusterPlan } from './cluster-plan.js';
import type { StageOnWorker } from './stage-on-worker.js';
import { runOnStages } from './stage-traffic.js';

const plan = {
  delay: 0,
  manifest: {
    parameters: [
      { name: 'a', module: 0, shape: [2] },
      { name: 'b', module: 1, shape: [2] },
    ],
    states: [],
    losses: [],
    modules: [{}, {}],
  },
} as unknown as ClusterPlan;

/** A stage of module 0 that sends what it is given, then that it is through. */
function stageThatSends(...values: (readonly [string, HostTensor])[]): StageOnWorker {
  const left = [...values, ['saved', float32([0], [])] as const].map(([name, tensor]) => {
    return { name, step: 0, tensor, done: () => undefined };
  });
  return {
    index: 0,
    modules: [0],
    worker: { place: 'node-a, process 7' },
    down: { send: async () => undefined },
    up: { next: async () => left.shift() },
    losses: [],
  } as unknown as StageOnWorker;
}

/** A run of no steps. @returns the state after it */
async function run(stage: StageOnWorker): Promise<Map<string, HostTensor>> {
  const tensors = new Map<string, HostTensor>([
    ['a', float32([2], [1, 2])],
    ['b', float32([2], [3, 4])],
  ]);
  const state = { sends: false, tensors, set: (name: string, tensor: HostTensor) => void tensors.set(name, tensor) };
  await runOnStages(plan, [stage], state, { first: 1, next: async () => undefined }, new AbortController().signal);
  return tensors;
}

describe('state that a stage sends', () => {
  test('replaces what was there', async () => {
    const state = await run(stageThatSends(['state/a', float32([2], [5, 6])]));
    expect([...state.get('a')!.data]).toEqual([5, 6]);
  });

  test.each<[string, string, HostTensor]>([
    ['of another shape', 'a', float32([3], [1, 2, 3])],
    ['of another type', 'a', { dtype: 'int64', shape: [2], data: new BigInt64Array(2) }],
    ['of another stage', 'b', float32([2], [1, 2])],
    ['that nobody has', 'c', float32([2], [1, 2])],
  ])('%s is refused', async (_what, name, tensor) => {
    const found = `${tensor.dtype} \\[${tensor.shape.join()}\\]`;
    await expect(run(stageThatSends([`state/${name}`, tensor]))).rejects.toMatchObject({
      code: 'CLUSTER_LOST',
      message: expect.stringMatching(
        new RegExp(`^node-a, process 7 sent ${name} as ${found}, which is not due$`),
      ) as string,
    });
  });

  test.each<[string, string[], string]>([
    ['twice', ['a', 'a'], 'sent a as float32 \\[2\\], which is not due'],
    ['not at all', [], 'did not send a'],
  ])('%s is refused', async (_what, names, problem) => {
    const values = names.map((name) => [`state/${name}`, float32([2], [5, 6])] as const);
    await expect(run(stageThatSends(...values))).rejects.toMatchObject({
      code: 'CLUSTER_LOST',
      message: expect.stringMatching(new RegExp(`^node-a, process 7 ${problem}$`)) as string,
    });
  });

  test('what comes out of turn is refused', async () => {
    await expect(run(stageThatSends(['features', float32([1], [1])]))).rejects.toMatchObject({
      code: 'CLUSTER_LOST',
      message: 'node-a, process 7 sent features of step 0 out of turn',
    });
  });
});
