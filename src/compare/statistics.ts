/** Few numbers summed up. */

export interface Statistic {
  readonly mean: number;
  /** Standard deviation of the sample (n - 1); null of a single number. */
  readonly sd: number | null;
  /** How many numbers. */
  readonly count: number;
}

/** null of no numbers. */
export function statistic(numbers: readonly number[]): Statistic | null {
  const count = numbers.length;
  if (count === 0) return null;
  const mean = numbers.reduce((sum, each) => sum + each, 0) / count;
  if (count === 1) return { mean, sd: null, count };
  const squares = numbers.reduce((sum, each) => sum + (each - mean) ** 2, 0);
  return { mean, sd: Math.sqrt(squares / (count - 1)), count };
}
