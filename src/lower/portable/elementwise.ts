/** Elementwise operators in standard ONNX. */
import type { ElementwiseOps } from '../../graph/ops/elementwise.js';
import { f } from '../emitter.js';
import type { LoweringFor, LoweringRule } from '../lower.js';

const same =
  <O extends keyof ElementwiseOps>(opType: O): LoweringRule<O> =>
  (emit, _node, inputs) => [emit.op(opType, inputs)];

export const elementwiseLowering: LoweringFor<ElementwiseOps> = {
  Add: same('Add'),
  Sub: same('Sub'),
  Mul: same('Mul'),
  Div: same('Div'),
  Neg: same('Neg'),
  Sqrt: same('Sqrt'),
  Exp: same('Exp'),
  Log: same('Log'),
  Reciprocal: same('Reciprocal'),
  Relu: same('Relu'),
  Sigmoid: same('Sigmoid'),
  // A very steep hard sigmoid is the 0/1 mask of y > 0 and is faster than Where, Sign or Greater+Cast.
  ReluGrad: (emit, _node, [cotangent, y]) => [
    emit.op('Mul', [cotangent!, emit.op('HardSigmoid', [y!], { alpha: f(1e30), beta: f(0) })]),
  ],
};
