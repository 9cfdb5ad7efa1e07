/** Losses in standard ONNX, composed so that every device has the kernels. */
import { staticDim, staticShape } from '../../graph/index.js';
import type { LossOps } from '../../graph/ops/loss.js';
import type { Emitter } from '../emitter.js';
import type { LoweringFor } from '../lower.js';

export const lossLowering: LoweringFor<LossOps> = {
  // mean over N of log Σ exp(z - max) - Σ t·(z - max), since the targets t add up to 1
  SoftmaxCrossEntropy: (emit, { inputs: [logits], attributes: { smoothing } }, [z, labels]) => {
    const shifted = emit.op('Sub', [z!, emit.op('ReduceMax', [z!], { axes: [1], keepdims: 1 })]);
    const partition = emit.op('ReduceSum', [emit.op('Exp', [shifted]), emit.ints([1])], { keepdims: 0 });
    const picked = emit.op(
      'ReduceSum',
      [emit.op('Mul', [shifted, targetsOf(emit, labels!, staticDim(logits!.shape, 1), smoothing)]), emit.ints([1])],
      { keepdims: 0 },
    );
    return [emit.op('ReduceMean', [emit.op('Sub', [emit.op('Log', [partition]), picked])], { axes: [0], keepdims: 0 })];
  },
  SoftmaxCrossEntropyGrad: (emit, { inputs: [logits], attributes: { smoothing } }, [z, labels, cotangent]) => {
    const [batch, classes] = staticShape(logits!.shape) as [number, number];
    const error = emit.op('Sub', [emit.op('Softmax', [z!], { axis: 1 }), targetsOf(emit, labels!, classes, smoothing)]);
    return [emit.op('Mul', [error, emit.op('Mul', [cotangent!, emit.floats([1 / batch], [])])])];
  },
  // mean of max(z, 0) - z·t + log(1 + e^-|z|)
  BinaryCrossEntropy: (emit, _node, [z, targets]) => {
    const tail = emit.op('Log', [
      emit.op('Add', [emit.op('Exp', [emit.op('Neg', [emit.op('Abs', [z!])])]), emit.floats([1], [])]),
    ]);
    const hinge = emit.op('Sub', [emit.op('Relu', [z!]), emit.op('Mul', [z!, targets!])]);
    // Without axes it is the mean over all.
    return [emit.op('ReduceMean', [emit.op('Add', [hinge, tail])], { keepdims: 0 })];
  },
  BinaryCrossEntropyGrad: (emit, { inputs: [logits] }, [z, targets, cotangent]) => {
    const elements = staticShape(logits!.shape).reduce((product, dim) => product * dim, 1);
    const error = emit.op('Sub', [emit.op('Sigmoid', [z!]), targets!]);
    return [emit.op('Mul', [error, emit.op('Mul', [cotangent!, emit.floats([1 / elements], [])])])];
  },
};

/** (1-ε)·one-hot + ε/classes */
function targetsOf(emit: Emitter, labels: string, classes: number, smoothing: number): string {
  const others = smoothing / classes;
  return emit.op('OneHot', [labels, emit.ints([classes]), emit.floats([others, 1 - smoothing + others])], { axis: 1 });
}
