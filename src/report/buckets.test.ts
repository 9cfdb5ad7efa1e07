/** Buckets against sums made in the plain way. */
import { expect, test } from 'vitest';
import { Random } from '../random.js';
import { Buckets } from './buckets.js';

interface Row {
  readonly step: number;
  readonly weight: number;
  /** Missing in some rows. */
  readonly value: number | null;
}

function rowsOf(count: number): Row[] {
  const random = new Random(1, `rows ${count}`);
  return Array.from({ length: count }, (_, i) => ({
    step: 20 * (i + 1),
    weight: 1 + Math.floor(20 * random.uniform()),
    value: random.uniform() < 0.2 ? null : random.normal(),
  }));
}

const folds = ['mean', 'range', 'sum', 'max', 'last'] as const;

function bucketsOf(rows: readonly Row[], most: number): Buckets {
  const buckets = new Buckets(most);
  for (const { step, weight, value } of rows) {
    buckets.row(step);
    for (const fold of folds) if (value !== null) buckets.add(fold, value, weight, fold);
  }
  return buckets;
}

test.each([1, 7, 8, 9, 16, 17, 100, 1000])('%i rows', (count) => {
  const rows = rowsOf(count);
  const buckets = bucketsOf(rows, 8);
  const steps = buckets.steps();
  expect(steps.length).toBeLessThanOrEqual(8);
  expect(steps.length).toBeGreaterThanOrEqual(Math.min(count, 4));
  expect(steps.at(-1)).toBe(20 * count);
  const groups = steps.map((step, i) => rows.filter((row) => row.step > (steps[i - 1] ?? 0) && row.step <= step));
  const sizes = groups.slice(0, -1).map((group) => group.length);
  expect(new Set(sizes).size).toBeLessThanOrEqual(1);
  groups.forEach((group, i) => {
    const there = group.filter((row): row is Row & { value: number } => row.value !== null);
    const at = (fold: string): number | null => buckets.get(fold).values[i]!;
    if (there.length === 0) return folds.forEach((fold) => expect(at(fold)).toBeNull());
    const values = there.map(({ value }) => value);
    const weights = there.reduce((sum, { weight }) => sum + weight, 0);
    const mean = there.reduce((sum, { value, weight }) => sum + value * weight, 0) / weights;
    expect(at('mean')).toBeCloseTo(mean, 10);
    expect(at('range')).toBeCloseTo(mean, 10);
    expect(at('sum')).toBeCloseTo(
      values.reduce((sum, value) => sum + value, 0),
      10,
    );
    expect(at('max')).toBe(Math.max(...values));
    expect(at('last')).toBe(values.at(-1));
    const { lows, highs } = buckets.get('range');
    expect([lows![i], highs![i]]).toEqual([Math.min(...values), Math.max(...values)]);
  });
});

test('what is no number does not count, and a series that is not there is empty', () => {
  const buckets = new Buckets(4);
  buckets.row(1);
  buckets.add('a', NaN, 1);
  buckets.row(2);
  buckets.add('a', 3, 1);
  expect(buckets.get('a').values).toEqual([null, 3]);
  expect(buckets.get('b').values).toEqual([null, null]);
});

test('a series may begin late', () => {
  const buckets = new Buckets(4);
  for (let step = 1; step <= 6; step++) {
    buckets.row(step);
    if (step > 3) buckets.add('late', step, 1);
  }
  expect(buckets.steps()).toEqual([2, 4, 6]);
  expect(buckets.get('late').values).toEqual([null, 4, 5.5]);
});
