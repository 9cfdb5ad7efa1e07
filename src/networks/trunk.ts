/** What every network is to the rest of the code: a list of named parts. */
import type { Value } from '../graph/index.js';
import type { LayerContext } from '../nn/index.js';

/** A run of layers with one input and one output. `context` is the root; the part adds its own name. */
export interface Part {
  readonly name: string;
  build(context: LayerContext, x: Value): Value;
}

/** The network that is exported and used. */
export interface Trunk {
  /** [channels, height, width] */
  readonly image: readonly [number, number, number];
  readonly classes: number;
  readonly stem: Part;
  /** Where the trunk may be cut: after any of these. */
  readonly blocks: readonly Part[];
  /** Global average pool and `fc`: [N, C, H, W] → class scores [N, classes]. */
  readonly classifier: Part;
}
