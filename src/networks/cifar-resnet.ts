/** Residual networks for small images (He et al. 2016, section 4.2), with projection shortcuts. */
import { relu } from '../graph/index.js';
import { batchNorm, conv2d } from '../nn/index.js';
import { stageBlocks } from '../recipe/network-stages.js';
import type { CifarResnetConfig } from '../recipe/types.js';
import { basicBlock, pooledClassifier } from './residual.js';
import { type Part, stackStages, type Trunk } from './trunk.js';

/** Depth 6n+2: a stem and three stages of n basic blocks, the second and third halving the map. */
export function cifarResnet(config: CifarResnetConfig): Trunk {
  const [stemWidth, ...stageWidths] = config.widths;
  const counts = stageBlocks(config);
  const stages = stageWidths.map((width, stage) => ({
    kind: basicBlock(width),
    blocks: counts[stage]!,
    stride: stage > 0 ? 2 : 1,
  }));
  return {
    image: config.image,
    classes: config.classes,
    stem: stem(stemWidth),
    blocks: stackStages(stages, 1),
    classifier: pooledClassifier(config.classes),
  };
}

const stem = (width: number): Part => ({
  name: 'stem',
  build: (context, x) =>
    context.child('stem', (here) =>
      relu(batchNorm(here, 'bn', conv2d(here, 'conv', x, { out: width, kernel: 3, padding: 1 }))),
    ),
});
