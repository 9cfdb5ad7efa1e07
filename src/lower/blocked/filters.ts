/** Filters in the order that the blocked convolution reads: [O/b, I/b, kh, kw, b (of I), b (of O)], under the name [O, I, kh, kw]. */
import type { BlockedEmitter } from './layout.js';

export interface FilterShape {
  readonly out: number;
  readonly input: number;
  readonly kernel: readonly [number, number];
}

/** Zeros up to the stored channel counts on both sides. */
export function padFilter(
  blocked: BlockedEmitter,
  filter: string,
  { out, input }: FilterShape,
  padInput = true,
): string {
  const extraOut = blocked.padded(out) - out;
  const extraInput = padInput ? blocked.padded(input) - input : 0;
  if (extraOut === 0 && extraInput === 0) return filter;
  return blocked.emit.op('Pad', [filter, blocked.emit.ints([0, 0, 0, 0, extraOut, extraInput, 0, 0])]);
}

/** Reorders a filter [out, input, kh, kw] whose channel counts are multiples of the block. */
export function reorderFilter(blocked: BlockedEmitter, filter: string, { out, input, kernel }: FilterShape): string {
  const b = blocked.block;
  const split = blocked.reshape(filter, [out / b, b, input / b, b, ...kernel]);
  return blocked.reshape(blocked.transpose(split, [0, 2, 4, 5, 3, 1]), [out, input, ...kernel]);
}

/** The same for a convolution that reads a plain image of fewer channels than a block. */
export function reorderImageFilter(
  blocked: BlockedEmitter,
  filter: string,
  { out, input, kernel }: FilterShape,
): string {
  const b = blocked.block;
  const split = blocked.reshape(filter, [out / b, b, input, ...kernel]);
  return blocked.reshape(blocked.transpose(split, [0, 2, 3, 4, 1]), [out, input, ...kernel]);
}

/** [out, input, kh, kw] → [input, out, taps] with the taps chosen from the flattened kernel; -1 stands for a zero. */
export function transposedTaps(
  blocked: BlockedEmitter,
  filter: string,
  { out, input, kernel }: FilterShape,
  taps: readonly number[],
): string {
  const { emit } = blocked;
  const count = kernel[0] * kernel[1];
  const swapped = blocked.reshape(blocked.transpose(filter, [1, 0, 2, 3]), [input, out, count]);
  if (count === 1 && taps.length === 1) return swapped;
  const source = taps.includes(-1) ? emit.op('Pad', [swapped, emit.ints([0, 0, 0, 0, 0, 1])]) : swapped;
  return emit.op('Gather', [source, emit.ints(taps.map((tap) => (tap < 0 ? count : tap)))], { axis: 2 });
}
