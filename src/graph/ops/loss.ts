/** Losses that are one operator because their gradient is simpler than its parts. */
import type { UsageError } from '../../errors.js';
import type { Value } from '../graph.js';
import type { ShapeRule } from '../operators.js';
import { float32Type, sameShape, type TensorType } from '../types.js';
import { expectFloat32, expectRanks, expectStatic } from './arity.js';

interface SmoothingAttributes {
  /** ε from 0 to 1: a label stands for (1-ε)·one-hot + ε/classes. */
  readonly smoothing: number;
}

export interface LossOps {
  /** (logits [N, classes], labels int64 [N]) → mean cross-entropy of the smoothed labels, shape []. */
  SoftmaxCrossEntropy: SmoothingAttributes;
  /** (logits, labels, cotangent []) → (softmax - smoothed labels)·cotangent / N. */
  SoftmaxCrossEntropyGrad: SmoothingAttributes;
  /** (logits, targets in [0, 1], both any shape) → mean binary cross-entropy of sigmoid(logits), shape []. */
  BinaryCrossEntropy: Record<string, never>;
  /** (logits, targets, cotangent []) → (sigmoid - target)·cotangent / elements. */
  BinaryCrossEntropyGrad: Record<string, never>;
}

type Fail = (problem: string) => UsageError;

function expectClassification(
  logits: TensorType,
  labels: TensorType,
  { smoothing }: SmoothingAttributes,
  fail: Fail,
): void {
  if (!(smoothing >= 0 && smoothing <= 1)) throw fail(`smoothing must be from 0 to 1, found ${smoothing}`);
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
  SoftmaxCrossEntropy: (inputs, attributes, fail) => {
    const [logits, labels] = expectRanks(inputs, [2, 1], fail);
    expectClassification(logits, labels, attributes, fail);
    return [float32Type([])];
  },
  SoftmaxCrossEntropyGrad: (inputs, attributes, fail) => {
    const [logits, labels, cotangent] = expectRanks(inputs, [2, 1, 0], fail);
    expectClassification(logits, labels, attributes, fail);
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

/**
 * Mean over the batch of -Σ_c t_c·log softmax(logits)_c with targets t = (1-ε)·one-hot(label) + ε/classes (label smoothing, Szegedy et al. 2016,
 * section 7; as PyTorch's `label_smoothing`).
 * @param smoothing ε; 0: of -log softmax(logits)[label]
 */
export const softmaxCrossEntropy = (logits: Value, labels: Value, smoothing = 0): Value =>
  logits.graph.apply('SoftmaxCrossEntropy', [logits, labels], { smoothing })[0]!;

/** Mean over all elements of -(t·log σ(z) + (1-t)·log(1-σ(z))). */
export const binaryCrossEntropy = (logits: Value, targets: Value): Value =>
  logits.graph.apply('BinaryCrossEntropy', [logits, targets], {})[0]!;
