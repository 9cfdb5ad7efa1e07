/** VGG networks (Simonyan & Zisserman 2015) with batch norm. A block is one convolution with all that follows it up to the next. */
import { adaptiveAveragePool, flatten, maxPool, relu, staticDim, type Value } from '../graph/index.js';
import { batchNorm, conv2d, dense } from '../nn/index.js';
import { stageBlocks } from '../recipe/network-stages.js';
import type { VggConfig } from '../recipe/types.js';
import { pooledClassifier } from './residual.js';
import { type Block, type BlockKind, type Part, placed, type Trunk } from './trunk.js';

/** Channels of the stages, in multiples of the first's. */
const WIDTHS = [1, 2, 4, 8, 8];

/** Largest side of the map that the hidden layers of the classifier read. */
const POOLED_SIDE = 7;

/** Five stages, each ending in a max pool 2×2. There is no stem: the first convolution is a block like the others. */
export function vgg(config: VggConfig): Trunk {
  let reduction = 1;
  const blocks = stageBlocks(config).flatMap((count, stage) =>
    Array.from({ length: count }, (_, index): Block => {
      const stride = index === count - 1 ? 2 : 1;
      const block = placed(convBlock(config.width * WIDTHS[stage]!), `layer${stage + 1}.${index}`, stride, reduction);
      reduction = block.reduction;
      return block;
    }),
  );
  const { image, classes, hidden } = config;
  const classifier = hidden === null ? pooledClassifier(classes) : hiddenClassifier(hidden, classes);
  return { image, classes, stem: null, blocks, classifier };
}

/** conv3×3-BN-ReLU, with stride 2 followed by a max pool 2×2 (odd rows and columns at the end are dropped). The batch norm makes the paper's bias superfluous. */
const convBlock = (width: number): BlockKind => ({
  width,
  make: (name, stride) => ({
    name,
    build: (context, x) =>
      context.child(name, (here) => {
        const y = relu(batchNorm(here, 'bn', conv2d(here, 'conv', x, { out: width, kernel: 3, padding: 1 })));
        return stride === 1 ? y : maxPool(y, { kernel: stride, stride });
      }),
  }),
});

/** Average pool to 7×7 at most and three linear layers with ReLU between, as in the paper but without its dropout. */
const hiddenClassifier = (hidden: number, classes: number): Part => ({
  name: 'classifier',
  build: (context, x) =>
    context.child('classifier', (here) => {
      const side = (axis: number): number => Math.min(POOLED_SIDE, staticDim(x.shape, axis));
      let y: Value = flatten(adaptiveAveragePool(x, [side(2), side(3)]));
      for (const name of ['fc1', 'fc2']) y = relu(dense(here, name, y, hidden, normal));
      return dense(here, 'fc3', y, classes, normal);
    }),
});

const normal = { std: 0.01 };
