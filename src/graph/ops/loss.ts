/** Losses that are one operator because their gradient is simpler than its parts. */
import type { Value } from '../graph.js';
import type { ShapeRule } from '../operators.js';
import { float32Type, sameShape } from '../types.js';
import { expectRanks } from './arity.js';

export interface LossOps {
  /** (logits [N, classes], labels int64 [N]) → mean cross-entropy, shape []. */
  SoftmaxCrossEntropy: Record<string, never>;
  /** (logits, labels, cotangent []) → (softmax - one-hot)·cotangent / N. */
  SoftmaxCrossEntropyGrad: Record<string, never>;
  /** (logits, targets in [0, 1], both any shape) → mean binary cross-entropy of sigmoid(logits), shape []. */
  BinaryCrossEntropy: Record<string, never>;
  /** (logits, targets, cotangent []) → (sigmoid - target)·cotangent / elements. */
  BinaryCrossEntropyGrad: Record<string, never>;
}

export const lossShapes = {
  SoftmaxCrossEntropy: (inputs, _attributes, fail) => {
    const [logits, labels] = expectRanks(inputs, [2, 1], fail);
    if (labels.dtype !== 'int64' || labels.shape[0] !== logits.shape[0]) throw fail('labels must be int64 [N]');
    return [float32Type([])];
  },
  SoftmaxCrossEntropyGrad: (inputs, _attributes, fail) => {
    const [logits] = expectRanks(inputs, [2, 1, 0], fail);
    return [float32Type(logits.shape)];
  },
  BinaryCrossEntropy: (inputs, _attributes, fail) => {
    const [logits, targets] = expectRanks(inputs, [null, null], fail);
    if (!sameShape(logits.shape, targets.shape)) throw fail('logits and targets differ in shape');
    return [float32Type([])];
  },
  BinaryCrossEntropyGrad: (inputs, _attributes, fail) => {
    const [logits] = expectRanks(inputs, [null, null, 0], fail);
    return [float32Type(logits.shape)];
  },
} satisfies { [O in keyof LossOps]: ShapeRule<O> };

/** Mean over the batch of -log softmax(logits)[label]. */
export const softmaxCrossEntropy = (logits: Value, labels: Value): Value =>
  logits.graph.apply('SoftmaxCrossEntropy', [logits, labels], {})[0]!;

/** Mean over all elements of -(t·log σ(z) + (1-t)·log(1-σ(z))). */
export const binaryCrossEntropy = (logits: Value, targets: Value): Value =>
  logits.graph.apply('BinaryCrossEntropy', [logits, targets], {})[0]!;
