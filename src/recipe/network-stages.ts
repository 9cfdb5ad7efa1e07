/** How many blocks the stages of each network have, and what blocks are called: `layer1.0`, `layer1.1`, … `layer2.0`, … */

/** What of a network's configuration decides on its blocks. */
export type NetworkShape =
  | { readonly type: 'cifar-resnet'; readonly depth: number }
  | { readonly type: 'imagenet-resnet'; readonly depth: ImagenetDepth }
  | { readonly type: 'vgg'; readonly depth: VggDepth };

export const imagenetDepths = [18, 34, 50, 101, 152] as const;
export type ImagenetDepth = (typeof imagenetDepths)[number];

export const vggDepths = [11, 13, 16, 19] as const;
export type VggDepth = (typeof vggDepths)[number];

/** He et al. 2016, table 1. */
const imagenetStages: Readonly<Record<ImagenetDepth, readonly number[]>> = {
  18: [2, 2, 2, 2],
  34: [3, 4, 6, 3],
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
};

/** Simonyan & Zisserman 2015, table 1: configurations A, B, D and E. */
const vggStages: Readonly<Record<VggDepth, readonly number[]>> = {
  11: [1, 1, 2, 2, 2],
  13: [2, 2, 2, 2, 2],
  16: [2, 2, 3, 3, 3],
  19: [2, 2, 4, 4, 4],
};

/** Blocks in each stage. */
export function stageBlocks(network: NetworkShape): readonly number[] {
  switch (network.type) {
    case 'cifar-resnet':
      return new Array<number>(3).fill((network.depth - 2) / 6);
    case 'imagenet-resnet':
      return imagenetStages[network.depth];
    case 'vgg':
      return vggStages[network.depth];
  }
}

/** Names of all blocks, in order. */
export const blockNames = (network: NetworkShape): string[] =>
  stageBlocks(network).flatMap((blocks, stage) =>
    Array.from({ length: blocks }, (_, index) => `layer${stage + 1}.${index}`),
  );
