/** Residual networks for small images (He et al. 2016, section 4.2), with projection shortcuts. */
import { add, globalAveragePool, relu, staticDim, type Value } from '../graph/index.js';
import { batchNorm, conv2d, dense, type LayerContext } from '../nn/index.js';
import type { NetworkConfig } from '../recipe/types.js';
import type { Part, Trunk } from './trunk.js';

/** Depth 6n+2: a stem and three stages of n basic blocks, the second and third halving the map. */
export function cifarResnet(config: NetworkConfig): Trunk {
  const perStage = (config.depth - 2) / 6;
  const [stemWidth, ...stageWidths] = config.widths;
  const blocks = stageWidths.flatMap((width, stage) =>
    Array.from({ length: perStage }, (_, index) =>
      basicBlock(`layer${stage + 1}.${index}`, width, stage > 0 && index === 0 ? 2 : 1),
    ),
  );
  return {
    image: config.image,
    classes: config.classes,
    stem: stem(stemWidth),
    blocks,
    classifier: classifier(config),
  };
}

const stem = (width: number): Part => ({
  name: 'stem',
  build: (context, x) =>
    context.child('stem', (here) =>
      relu(batchNorm(here, 'bn', conv2d(here, 'conv', x, { out: width, kernel: 3, padding: 1 }))),
    ),
});

/** conv3×3-BN-ReLU-conv3×3-BN + shortcut, ReLU; the shortcut is conv1×1-BN where the shape changes. */
const basicBlock = (name: string, width: number, stride: number): Part => ({
  name,
  build: (context, x) =>
    context.child(name, (here) => {
      const first = conv2d(here, 'conv1', x, { out: width, kernel: 3, stride, padding: 1 });
      const hidden = relu(batchNorm(here, 'bn1', first));
      const second = batchNorm(here, 'bn2', conv2d(here, 'conv2', hidden, { out: width, kernel: 3, padding: 1 }));
      return relu(add(second, shortcut(here, x, width, stride)));
    }),
});

function shortcut(block: LayerContext, x: Value, width: number, stride: number): Value {
  if (stride === 1 && staticDim(x.shape, 1) === width) return x;
  return block.child('downsample', (here) =>
    batchNorm(here, 'bn', conv2d(here, 'conv', x, { out: width, kernel: 1, stride })),
  );
}

const classifier = (config: NetworkConfig): Part => ({
  name: 'fc',
  build: (context, x) => dense(context, 'fc', globalAveragePool(x), config.classes),
});
