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

/**
 * A filter with input and output channels swapped, for input gradients: [I/b, O/b, taps, b (of O), b (of I)], as the blocked convolution reads it.
 * With groups, I and O are the channels of one, and the groups follow each other along the first axis.
 *
 * @param shape with groups, that of the filter [groups·O, I, kh, kw], whose channels fill their blocks
 * @param zeroTap whether to add a tap of zeros behind the others
 */
export function swapChannels(
  blocked: BlockedEmitter,
  filter: string,
  shape: FilterShape,
  { zeroTap = false, groups = 1 } = {},
): string {
  const { emit, block: b } = blocked;
  const taps = shape.kernel[0] * shape.kernel[1];
  const [out, input] = [blocked.padded(shape.out) / groups, blocked.padded(shape.input)];
  const parts = blocked.reshape(padFilter(blocked, filter, shape), [groups, out / b, b, input / b, b, taps]);
  const turned = blocked.transpose(parts, [0, 3, 1, 5, 2, 4]);
  const swapped = blocked.reshape(turned, [(groups * input) / b, out / b, taps, b, b]);
  return zeroTap ? emit.op('Pad', [swapped, emit.ints([0, 0, 0, 0, 0, 0, 0, 1, 0, 0])]) : swapped;
}

/** Some taps of such a filter, in the order given. */
export function takeTaps({ emit }: BlockedEmitter, swapped: string, taps: readonly number[]): string {
  return emit.op('Gather', [swapped, emit.ints(taps)], { axis: 2 });
}
