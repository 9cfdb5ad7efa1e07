/** tools/compare-lowerings.js: which gradient it names. */
import { expect, test } from 'vitest';
import { worstDifference } from '../tools/worst-difference.js';

const tensors = (values: Record<string, readonly number[]>) =>
  new Map(Object.entries(values).map(([name, data]) => [name, { data: Float32Array.from(data) }]));

const expected = tensors({ a: [3, 4], b: [1, 0], c: [2, 0] });

test('the gradient that differs most, relative to its own norm and a little of all', () => {
  const [name, difference] = worstDifference(expected, tensors({ a: [3, 4], b: [1.5, 0], c: [2, 0.75] }));
  expect(name).toBe('b');
  expect(difference).toBeCloseTo(0.5 / (1 + Math.sqrt(30) / 1000), 12);
});

test.each(['a', 'b', 'c'])('a gradient that is not a number is the worst, wherever it stands: %s', (name) => {
  const others = { a: [30, 4], b: [9, 0], c: [Infinity, 0] };
  expect(worstDifference(expected, tensors({ ...others, [name]: [0, NaN] }))).toEqual([name, NaN]);
});
