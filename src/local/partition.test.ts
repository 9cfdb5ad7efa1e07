import fc from 'fast-check';
import { expect, test } from 'vitest';
import { partition } from './partition.js';

const sumOf =
  (costs: readonly number[]) =>
  (begin: number, end: number): number =>
    costs.slice(begin, end).reduce((sum, cost) => sum + cost, 0);

/** All ways to cut, in plain recursion. */
function* cuts(count: number, runs: number, begin = 0): Generator<number[]> {
  if (runs === 1) yield [count];
  else
    for (let end = begin + 1; end <= count - runs + 1; end++)
      for (const rest of cuts(count, runs - 1, end)) yield [end, ...rest];
}

const largest = (ends: readonly number[], cost: (begin: number, end: number) => number): number =>
  Math.max(...ends.map((end, i) => cost(ends[i - 1] ?? 0, end)));

test('no cut has a smaller largest run', () => {
  const costs = fc.array(fc.nat(20), { minLength: 1, maxLength: 7 });
  fc.assert(
    fc.property(costs, fc.nat(), fc.nat(20), (list, seed, head) => {
      const runs = (seed % list.length) + 1;
      // Every run but the last costs something more at its end, as heads do.
      const cost = (begin: number, end: number): number =>
        sumOf(list)(begin, end) + (end < list.length ? head * end : 0);
      const found = partition(list.length, runs, cost)!;
      expect(found).toHaveLength(runs);
      const best = Math.min(...[...cuts(list.length, runs)].map((ends) => largest(ends, cost)));
      expect(largest(found, cost)).toBe(best);
    }),
  );
});

test('runs that cannot be are not made', () => {
  const costs = sumOf([1, 1, 1, 1]);
  const cost = (begin: number, end: number): number => (end === 2 ? Infinity : costs(begin, end));
  expect(partition(4, 2, cost)).toEqual([1, 4]);
  expect(partition(4, 4, cost)).toBeNull();
});
