/** The order of the rows of an epoch: drawn at random, yet such that only a few row groups need be in memory at once. */
import type { Random } from '../../random.js';

/** A row group among all of a split. */
export interface PlacedGroup {
  readonly firstRow: number;
  readonly rows: number;
  readonly bytes: number;
}

/**
 * Shuffles the row groups, cuts their sequence into windows of at most `windowBytes` (at least one group), and shuffles the rows of each
 * window. A set that fits into one window is thus shuffled whole.
 * @returns each row once
 */
export function windowedOrder(groups: readonly PlacedGroup[], windowBytes: number, random: Random): Uint32Array {
  const shuffled = random.shuffle([...groups]);
  const order = new Uint32Array(groups.reduce((sum, { rows }) => sum + rows, 0));
  let filled = 0;
  let start = 0;
  let bytes = 0;
  const endWindow = (): void => {
    random.shuffle(order.subarray(start, filled));
    start = filled;
    bytes = 0;
  };
  for (const group of shuffled) {
    if (bytes > 0 && bytes + group.bytes > windowBytes) endWindow();
    bytes += group.bytes;
    for (let i = 0; i < group.rows; i++) order[filled++] = group.firstRow + i;
  }
  endWindow();
  return order;
}
