/** Checks that shape rules share. */
import type { UsageError } from '../../errors.js';
import type { Dim, TensorType } from '../types.js';

type Fail = (problem: string) => UsageError;

/** The inputs, `count` of them, each of the rank asked for (null: any). */
export function expectRanks<const R extends readonly (number | null)[]>(
  inputs: readonly TensorType[],
  ranks: R,
  fail: Fail,
): { [K in keyof R]: TensorType } {
  if (inputs.length !== ranks.length) throw fail(`takes ${ranks.length} inputs, found ${inputs.length}`);
  inputs.forEach((input, i) => {
    const rank = ranks[i];
    if (typeof rank === 'number' && input.shape.length !== rank) {
      throw fail(`input ${i} must have ${rank} axes, found ${input.shape.length}`);
    }
  });
  return inputs as unknown as { [K in keyof R]: TensorType };
}

/** Checks that every axis is one of `rank` axes, given once. */
export function expectAxes(axes: readonly number[], rank: number, fail: Fail): void {
  const seen = new Set<number>();
  for (const axis of axes) {
    if (!Number.isInteger(axis) || axis < 0 || axis >= rank) throw fail(`axis ${axis} is outside 0…${rank - 1}`);
    if (seen.has(axis)) throw fail(`axis ${axis} is given twice`);
    seen.add(axis);
  }
}

/** Checks that all inputs are float32. */
export function expectFloat32(inputs: readonly TensorType[], fail: Fail): void {
  inputs.forEach(({ dtype }, i) => {
    if (dtype !== 'float32') throw fail(`input ${i} must be float32, found ${dtype}`);
  });
}

/** Checks an attribute that counts something: integers from `least` on. */
export function expectIntegers(what: string, values: readonly number[], least: number, fail: Fail): void {
  for (const value of values) {
    if (!Number.isSafeInteger(value) || value < least)
      throw fail(`${what} must be integers from ${least} on, found ${value}`);
  }
}

/** A dimension as a number. */
export function expectStatic(dim: Dim | undefined, axis: number, fail: Fail): number {
  if (typeof dim !== 'number') throw fail(`axis ${axis} must be a known number, found ${dim}`);
  return dim;
}
