/** Elementwise gradients that ONNX Runtime has kernels for. */
import type { LoweringRule } from '../lower.js';
import { microsoft } from './operators.js';

interface ElementwiseGradients {
  readonly ReluGrad: LoweringRule<'ReluGrad'>;
}

export const elementwiseRules: ElementwiseGradients = {
  // The kernel asks for x where it only looks at the sign, which y = relu(x) has as well.
  ReluGrad: (emit, _node, [cotangent, y]) => [emit.op('ReluGrad', [cotangent!, y!], {}, microsoft)],
};
