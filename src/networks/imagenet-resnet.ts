/** Residual networks for large images: ResNet (He et al. 2016, section 4.1) and ResNeXt (Xie et al. 2017). */
import { add, maxPool, relu } from '../graph/index.js';
import { batchNorm, conv2d } from '../nn/index.js';
import { stageBlocks } from '../recipe/network-stages.js';
import type { ImagenetResnetConfig } from '../recipe/types.js';
import { basicBlock, pooledClassifier, shortcut } from './residual.js';
import { type BlockKind, type Part, stackStages, type Trunk } from './trunk.js';

/** Depths from here on have bottlenecks. */
const FIRST_BOTTLENECK_DEPTH = 50;

/** A bottleneck gives so many times the channels that it is called by. */
const EXPANSION = 4;

/** A stem that quarters the image, and four stages, the last three halving the map. */
export function imagenetResnet(config: ImagenetResnetConfig): Trunk {
  const stages = stageBlocks(config).map((blocks, stage) => ({
    kind: blockKind(config, config.width * 2 ** stage),
    blocks,
    stride: stage > 0 ? 2 : 1,
  }));
  return {
    image: config.image,
    classes: config.classes,
    stem: stem(config.width),
    blocks: stackStages(stages, 4),
    classifier: pooledClassifier(config.classes),
  };
}

function blockKind({ depth, groups, widthPerGroup }: ImagenetResnetConfig, planes: number): BlockKind {
  if (depth < FIRST_BOTTLENECK_DEPTH) return basicBlock(planes);
  return bottleneck(EXPANSION * planes, ((planes * widthPerGroup) / 64) * groups, groups);
}

/** conv7×7 with stride 2, BN, ReLU, max pool 3×3 with stride 2. */
const stem = (width: number): Part => ({
  name: 'stem',
  build: (context, x) =>
    context.child('stem', (here) => {
      const y = conv2d(here, 'conv', x, { out: width, kernel: 7, stride: 2, padding: 3 });
      return maxPool(relu(batchNorm(here, 'bn', y)), { kernel: 3, stride: 2, padding: 1 });
    }),
});

/** conv1×1-BN-ReLU-conv3×3-BN-ReLU-conv1×1-BN + shortcut, ReLU; the 3×3 convolution has the groups and the stride, as in torchvision. */
const bottleneck = (width: number, inner: number, groups: number): BlockKind => ({
  width,
  make: (name, stride) => ({
    name,
    build: (context, x) =>
      context.child(name, (here) => {
        const narrow = relu(batchNorm(here, 'bn1', conv2d(here, 'conv1', x, { out: inner, kernel: 1 })));
        const middle = conv2d(here, 'conv2', narrow, { out: inner, kernel: 3, stride, padding: 1, groups });
        const wide = conv2d(here, 'conv3', relu(batchNorm(here, 'bn2', middle)), { out: width, kernel: 1 });
        return relu(add(batchNorm(here, 'bn3', wide), shortcut(here, x, width, stride)));
      }),
  }),
});
