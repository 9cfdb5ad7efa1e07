import { expect, test } from 'vitest';
import { float32 } from '../files/tensor.js';
import { decodeTasks, encodeTasks } from './task-times.js';

const tasks = [
  { stage: 0, module: 3, phase: 'forward', step: 1, begin: 10.25, end: 12.5 },
  { stage: 0, module: 4, phase: 'update', step: 70_000, begin: 13, end: 1e7 },
] as const;

test('tasks arrive with their times by the clock here, to a thousandth of a millisecond', () => {
  const found = decodeTasks(encodeTasks(tasks), 2, 500);
  expect(found).toHaveLength(2);
  found.forEach(({ begin, end, ...rest }, i) => {
    const { begin: sentBegin, end: sentEnd, stage: _, ...sent } = tasks[i]!;
    expect(rest).toEqual({ ...sent, stage: 2 });
    expect(begin).toBeCloseTo(sentBegin - 500, 2);
    expect(end).toBeCloseTo(sentEnd - 500, 2);
  });
});

test('anything else is refused', () => {
  expect(() => decodeTasks(float32([1, 5], [0, 0, 0, 0, 0]), 0, 0)).toThrow(
    'task times are float32 [1, 5]; allowed: int64',
  );
});
