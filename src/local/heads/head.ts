/** What an auxiliary head is, and the patches it sees. */
import { slice, staticDim, type Value } from '../../graph/index.js';
import type { LayerContext } from '../../nn/index.js';
import type { HeadKind } from '../../recipe/types.js';

/** Part of the feature map that a head sees: cell (row, column) of a grid × grid partition; grid 1 is the whole map. */
export interface Patch {
  readonly grid: number;
  readonly row: number;
  readonly column: number;
}

export interface Head {
  readonly kind: HeadKind;
  /** Output for the features [N, C, h, w] of one patch. `grid` says how many patches the map has along each side. */
  build(context: LayerContext, features: Value, grid: number): Value;
  /**
   * Loss of an output, shape [].
   * @param patches whose output it is: one, or all of them where `output` is their mean
   */
  loss(output: Value, patches: readonly Patch[]): Value;
}

/** One cell of a map [N, C, H, W] whose sides divide by the grid. */
export function cropPatch(map: Value, { grid, row, column }: Patch): Value {
  if (grid === 1) return map;
  const height = staticDim(map.shape, 2) / grid;
  const width = staticDim(map.shape, 3) / grid;
  return slice(map, {
    axes: [2, 3],
    starts: [row * height, column * width],
    ends: [(row + 1) * height, (column + 1) * width],
  });
}
