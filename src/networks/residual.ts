/** What residual networks are made of (He et al. 2016). */
import { add, globalAveragePool, relu, staticDim, type Value } from '../graph/index.js';
import { batchNorm, conv2d, dense, type LayerContext } from '../nn/index.js';
import type { BlockKind, Part } from './trunk.js';

/** conv3×3-BN-ReLU-conv3×3-BN + shortcut, ReLU; the shortcut is conv1×1-BN where the shape changes. */
export const basicBlock = (width: number): BlockKind => ({
  width,
  make: (name, stride) => ({
    name,
    build: (context, x) =>
      context.child(name, (here) => {
        const first = conv2d(here, 'conv1', x, { out: width, kernel: 3, stride, padding: 1 });
        const hidden = relu(batchNorm(here, 'bn1', first));
        const second = batchNorm(here, 'bn2', conv2d(here, 'conv2', hidden, { out: width, kernel: 3, padding: 1 }));
        return relu(add(second, shortcut(here, x, width, stride)));
      }),
  }),
});

/** The input itself, or conv1×1-BN of it where the block changes its shape. */
export function shortcut(block: LayerContext, x: Value, width: number, stride: number): Value {
  if (stride === 1 && staticDim(x.shape, 1) === width) return x;
  return block.child('downsample', (here) =>
    batchNorm(here, 'bn', conv2d(here, 'conv', x, { out: width, kernel: 1, stride })),
  );
}

/** Global average pool and a linear layer, `fc`. */
export const pooledClassifier = (classes: number): Part => ({
  name: 'fc',
  build: (context, x) => dense(context, 'fc', globalAveragePool(x), classes),
});
