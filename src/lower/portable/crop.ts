/** Padding of maps where it may be negative, which Conv does not take: the rows and columns are cut off before. */
import type { Emitter } from '../emitter.js';

/** Top, left, bottom, right. */
export type Pads = readonly [number, number, number, number];

/** Cuts off what `pads` has of negative numbers. @param x [N, C, height, width] @returns the map and the padding left to do */
export function cropped(
  emit: Emitter,
  x: string,
  [height, width]: readonly [number, number],
  pads: Pads,
): readonly [string, Pads] {
  if (pads.every((n) => n >= 0)) return [x, pads];
  const [top, left, bottom, right] = pads.map((n) => Math.max(-n, 0)) as unknown as Pads;
  const starts = emit.ints([top, left]);
  const ends = emit.ints([height - bottom, width - right]);
  const rest = pads.map((n) => Math.max(n, 0)) as unknown as Pads;
  return [emit.op('Slice', [x, starts, ends, emit.ints([2, 3])]), rest];
}
