/** Gradients of pooling and resizing: their transposes. */
import { staticDim, type Value } from '../../graph/index.js';
import type { PoolOps } from '../../graph/ops/pool.js';
import { only, type RulesFor } from '../rule.js';

const sizeOf = (x: Value): readonly [number, number] => [staticDim(x.shape, 2), staticDim(x.shape, 3)];

export const poolRules: RulesFor<PoolOps> = {
  AveragePool: ({ inputs: [x], attributes }, cotangents) =>
    x!.graph.apply('AveragePoolGrad', [only(cotangents)], { ...attributes, inputSize: sizeOf(x!) }),
  AveragePoolGrad: null,
  MaxPool: ({ inputs: [x], outputs: [y], attributes }, cotangents) =>
    x!.graph.apply('MaxPoolGrad', [only(cotangents), x!, y!], attributes),
  MaxPoolGrad: null,
  GlobalAveragePool: ({ inputs: [x] }, cotangents) =>
    x!.graph.apply('GlobalAveragePoolGrad', [only(cotangents)], { inputSize: sizeOf(x!) }),
  GlobalAveragePoolGrad: null,
  ResizeBilinear: ({ inputs: [x] }, cotangents) =>
    x!.graph.apply('ResizeBilinearGrad', [only(cotangents)], { inputSize: sizeOf(x!) }),
  ResizeBilinearGrad: null,
};
