/** What every network is to the rest of the code: a list of named parts. */
import type { Value } from '../graph/index.js';
import type { LayerContext } from '../nn/index.js';

/** A run of layers with one input and one output. `context` is the root; the part adds its own name. */
export interface Part {
  readonly name: string;
  build(context: LayerContext, x: Value): Value;
}

/** What a block is, whatever the network: what auxiliary networks made of blocks need to know of it. */
export interface BlockKind {
  /** Channels of the maps that it gives. It takes maps of any number of channels. */
  readonly width: number;
  /** A block of this kind under a name, whose maps are smaller than those that it takes by a factor of `stride` (1 or 2), rounded up or down. */
  make(name: string, stride: number): Part;
}

/** A block of the trunk. */
export interface Block extends Part {
  readonly kind: BlockKind;
  /** The image's sides are by this factor as long as those of the maps that the block gives, but for rounding. */
  readonly reduction: number;
}

/** The network that is exported and used. */
export interface Trunk {
  /** [channels, height, width] */
  readonly image: readonly [number, number, number];
  readonly classes: number;
  /** What comes before the first block; null where that is nothing. */
  readonly stem: Part | null;
  /** Where the trunk may be cut: after any of these. */
  readonly blocks: readonly Block[];
  /** Pooling and linear layers: [N, C, H, W] → class scores [N, classes]. */
  readonly classifier: Part;
}

/** All parts, in order. */
export const partsOf = ({ stem, blocks, classifier }: Trunk): readonly Part[] => [
  ...(stem ? [stem] : []),
  ...blocks,
  classifier,
];

/** A block as it stands in a trunk. @param before reduction of the maps that it takes */
export function placed(kind: BlockKind, name: string, stride: number, before: number): Block {
  return { ...kind.make(name, stride), kind, reduction: before * stride };
}

/** Where blocks stand: stage after stage, the map shrinking by `stride` in the first block of each. */
export interface Stage {
  readonly kind: BlockKind;
  readonly blocks: number;
  readonly stride: number;
}

/** Blocks `layer1.0`, `layer1.1`, … of stages that follow each other. @param reduction of the maps that the first takes */
export function stackStages(stages: readonly Stage[], reduction: number): Block[] {
  let before = reduction;
  return stages.flatMap(({ kind, blocks, stride }, stage) =>
    Array.from({ length: blocks }, (_, index) => {
      const block = placed(kind, `layer${stage + 1}.${index}`, index === 0 ? stride : 1, before);
      before = block.reduction;
      return block;
    }),
  );
}
