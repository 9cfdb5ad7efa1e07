/** Losses that are one operator because their gradient is simpler than its parts. */
import type { UsageError } from '../../errors.js';
import type { Value } from '../graph.js';
import type { ShapeRule } from '../operators.js';
import { float32Type, sameShape, type TensorType } from '../types.js';
import { expectFloat32, expectRanks, expectStatic } from './arity.js';

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

type Fail = (problem: string) => UsageError;

function expectClassification(logits: TensorType, labels: TensorType, fail: Fail): void {
  expectFloat32([logits], fail);
  expectStatic(logits.shape[1], 1, fail);
  if (labels.dtype !== 'int64' || labels.shape[0] !== logits.shape[0]) {
    throw fail(`labels must be int64[${logits.shape[0]}]`);
  }
}

function expectTargets(logits: TensorType, targets: TensorType, fail: Fail): void {
  expectFloat32([logits, targets], fail);
  if (!sameShape(logits.shape, targets.shape)) throw fail('logits and targets differ in shape');
}

export const lossShapes = {
  SoftmaxCrossEntropy: (inputs, _attributes, fail) => {
    const [logits, labels] = expectRanks(inputs, [2, 1], fail);
    expectClassification(logits, labels, fail);
    return [float32Type([])];
  },
  SoftmaxCrossEntropyGrad: (inputs, _attributes, fail) => {
    const [logits, labels, cotangent] = expectRanks(inputs, [2, 1, 0], fail);
    expectClassification(logits, labels, fail);
    expectFloat32([cotangent], fail);
    return [float32Type(logits.shape)];
  },
  BinaryCrossEntropy: (inputs, _attributes, fail) => {
    const [logits, targets] = expectRanks(inputs, [null, null], fail);
    expectTargets(logits, targets, fail);
    return [float32Type([])];
  },
  BinaryCrossEntropyGrad: (inputs, _attributes, fail) => {
    const [logits, targets, cotangent] = expectRanks(inputs, [null, null, 0], fail);
    expectTargets(logits, targets, fail);
    expectFloat32([cotangent], fail);
    return [float32Type(logits.shape)];
  },
} satisfies { [O in keyof LossOps]: ShapeRule<O> };

/** Mean over the batch of -log softmax(logits)[label]. */
export const softmaxCrossEntropy = (logits: Value, labels: Value): Value =>
  logits.graph.apply('SoftmaxCrossEntropy', [logits, labels], {})[0]!;

/** Mean over all elements of -(t·log σ(z) + (1-t)·log(1-σ(z))). */
export const binaryCrossEntropy = (logits: Value, targets: Value): Value =>
  logits.graph.apply('BinaryCrossEntropy', [logits, targets], {})[0]!;
