/** Convolution in standard ONNX. Its gradients have files of their own. */
import { staticDim } from '../../graph/index.js';
import type { ConvOps } from '../../graph/ops/conv.js';
import type { LoweringFor } from '../lower.js';
import { convInputGrad } from './conv-input-grad.js';
import { convWeightGrad } from './conv-weight-grad.js';

export const convLowering: LoweringFor<ConvOps> = {
  Conv: (emit, { inputs: [, weight], attributes: { strides, pads, groups } }, inputs) => [
    emit.op('Conv', inputs, {
      strides,
      pads,
      group: groups,
      kernel_shape: [staticDim(weight!.shape, 2), staticDim(weight!.shape, 3)],
    }),
  ],
  ConvInputGrad: (emit, node, inputs) => [convInputGrad(emit, node, inputs)],
  ConvWeightGrad: (emit, node, inputs) => [convWeightGrad(emit, node, inputs)],
};
