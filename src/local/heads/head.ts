/** What an auxiliary head is. */
import type { Value } from '../../graph/index.js';
import type { LayerContext } from '../../nn/index.js';

export type HeadKind = 'classifier' | 'decoder';

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
