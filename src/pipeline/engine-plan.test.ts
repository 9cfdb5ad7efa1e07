/** How a plan is computed; what plans there are is tested where engines are opened. */
import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { type Plan, threading } from './engine-plan.js';

const plan = (threads: number, stages: number, schedule: Plan['schedule'] = stages > 1 ? 'async' : 'sync'): Plan => ({
  schedule,
  delay: 0,
  stages,
  balance: 'time',
  threads,
});

test('one busy core: as lean as can be, but where a step is many runs', () => {
  expect(threading(plan(1, 1, 'fused'))).toEqual({ threads: 1, runThreads: 0, spinning: false });
  expect(threading(plan(1, 1, 'async'))).toEqual({ threads: 1, runThreads: 1, spinning: false });
  expect(threading(plan(1, 1, 'sync'))).toEqual({ threads: 1, runThreads: 1, spinning: false });
});

test('stages of one thread: a thread for the runs of each, and nothing to spin', () => {
  expect(threading(plan(1, 3))).toEqual({ threads: 1, runThreads: 3, spinning: false });
});

test('several threads: they spin unless others need the cores', () => {
  expect(threading(plan(2, 1))).toEqual({ threads: 2, runThreads: 1, spinning: availableParallelism() >= 2 });
  const cores = availableParallelism();
  expect(threading(plan(cores + 1, 1)).spinning).toBe(false);
  expect(threading(plan(2, cores)).spinning).toBe(false);
});
