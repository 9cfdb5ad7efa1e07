/** Gradients of convolution: transposed convolution for the input, correlation with the input for the filter. */
import { reduceSum, staticDim } from '../../graph/index.js';
import type { ConvOps } from '../../graph/ops/conv.js';
import { only, type RulesFor } from '../rule.js';

export const convRules: RulesFor<ConvOps> = {
  Conv: ({ inputs: [x, weight, bias], attributes }, cotangents, [wantX, wantWeight, wantBias]) => {
    const graph = x!.graph;
    const dy = only(cotangents);
    const inputSize = [staticDim(x!.shape, 2), staticDim(x!.shape, 3)] as const;
    const kernel = [staticDim(weight!.shape, 2), staticDim(weight!.shape, 3)] as const;
    return [
      wantX ? graph.apply('ConvInputGrad', [dy, weight!], { ...attributes, inputSize })[0] : undefined,
      wantWeight ? graph.apply('ConvWeightGrad', [x!, dy], { ...attributes, kernel })[0] : undefined,
      bias && wantBias ? reduceSum(dy, [0, 2, 3]) : undefined,
    ];
  },
  ConvInputGrad: null,
  ConvWeightGrad: null,
};
