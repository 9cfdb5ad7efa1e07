/**
 * Grouped convolution with the blocked kernels, which want groups whose channels fill whole blocks. Narrow groups are merged: a filter that is zero
 * between the groups that it joins does the same, with a few more operations but without leaving the blocked layout.
 */
import { elementCount } from '../../files/tensor.js';
import type { BlockedEmitter } from './layout.js';

export interface Grouping {
  /** As in the convolution. */
  readonly groups: number;
  /** Channels of each that the filter reads and makes. */
  readonly input: number;
  readonly out: number;
  /** So many neighbours are one to the kernels. */
  readonly merged: number;
}

/** How the kernels take a convolution of more than one group; null where they cannot. */
export function groupingOf(block: number, groups: number, input: number, out: number): Grouping | null {
  for (let merged = 1; merged <= groups; merged++) {
    const fills = (merged * input) % block === 0 && (merged * out) % block === 0;
    if (groups % merged === 0 && fills) return { groups, input, out, merged };
  }
  return null;
}

/** The filter [groups·out, input, kh, kw] as one of the merged groups, [groups·out, merged·input, kh, kw]. */
export function mergeFilter(
  blocked: BlockedEmitter,
  filter: string,
  { groups, input, out, merged }: Grouping,
  [kh, kw]: readonly [number, number],
): string {
  if (merged === 1) return filter;
  const apart = blocked.reshape(filter, [groups / merged, merged, out, 1, input * kh * kw]);
  const spread = blocked.mul(apart, diagonal(blocked, merged));
  return blocked.reshape(spread, [groups * out, merged * input, kh, kw]);
}

/** The reverse for a gradient: of a filter of merged groups, what lies within groups. */
export function splitFilter(
  blocked: BlockedEmitter,
  filter: string,
  { groups, input, out, merged }: Grouping,
  [kh, kw]: readonly [number, number],
): string {
  if (merged === 1) return filter;
  const { emit } = blocked;
  const spread = blocked.reshape(filter, [groups / merged, merged, out, merged, input * kh * kw]);
  const within = emit.op('ReduceSum', [blocked.mul(spread, diagonal(blocked, merged)), emit.ints([3])], {
    keepdims: 0,
  });
  return blocked.reshape(within, [groups * out, input, kh, kw]);
}

/** Ones where a group meets itself: [1, merged, 1, merged, 1]. */
function diagonal({ emit }: BlockedEmitter, merged: number): string {
  const shape = [1, merged, 1, merged, 1];
  const data = new Float32Array(elementCount(shape));
  for (let i = 0; i < merged; i++) data[i * merged + i] = 1;
  return emit.floats(data, shape);
}
