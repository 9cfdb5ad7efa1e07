/** Batch normalisation (Ioffe & Szegedy 2015) over N, H, W of [N, C, H, W] or over N of [N, C]. */
import type { UsageError } from '../../errors.js';
import type { Value } from '../graph.js';
import type { ShapeRule } from '../operators.js';
import { float32Type, sameShape, type TensorType } from '../types.js';
import { expectFloat32, expectStatic } from './arity.js';

export interface NormOps {
  /**
   * (x, gamma, beta) → y, mean [C], variance [C] (biased), rstd = 1/sqrt(variance + epsilon) [C], centred = x - mean.
   * y = centred·rstd·gamma + beta.
   */
  BatchNormTrain: { readonly epsilon: number };
  /** (cotangent of y, centred, gamma, rstd) → cotangents of x, gamma, beta. */
  BatchNormGrad: Record<string, never>;
  /** (x, gamma, beta, mean, variance) → y, with given statistics. */
  BatchNormInference: { readonly epsilon: number };
}

function expectChannels(
  inputs: readonly TensorType[],
  from: number,
  count: number,
  fail: (problem: string) => UsageError,
): void {
  if (inputs.length !== count) throw fail(`takes ${count} inputs, found ${inputs.length}`);
  expectFloat32(inputs, fail);
  const [x] = inputs;
  if (x!.shape.length !== 4 && x!.shape.length !== 2) throw fail('takes [N, C, H, W] or [N, C]');
  const channels = expectStatic(x!.shape[1], 1, fail);
  for (const parameter of inputs.slice(from)) {
    if (!sameShape(parameter.shape, [channels])) throw fail(`per-channel inputs must have shape [${channels}]`);
  }
}

export const normShapes = {
  BatchNormTrain: (inputs, _attributes, fail) => {
    expectChannels(inputs, 1, 3, fail);
    const [x, gamma] = inputs;
    const statistic = float32Type(gamma!.shape);
    return [float32Type(x!.shape), statistic, statistic, statistic, float32Type(x!.shape)];
  },
  BatchNormGrad: (inputs, _attributes, fail) => {
    expectChannels(inputs, 2, 4, fail);
    const [cotangent, centred, gamma] = inputs;
    if (!sameShape(cotangent!.shape, centred!.shape)) throw fail('cotangent and centred differ in shape');
    return [float32Type(centred!.shape), float32Type(gamma!.shape), float32Type(gamma!.shape)];
  },
  BatchNormInference: (inputs, _attributes, fail) => {
    expectChannels(inputs, 1, 5, fail);
    return [float32Type(inputs[0]!.shape)];
  },
} satisfies { [O in keyof NormOps]: ShapeRule<O> };

export interface BatchNormResult {
  readonly y: Value;
  /** [C] */
  readonly mean: Value;
  /** [C], biased (divided by the number of elements). */
  readonly variance: Value;
}

/** Normalises with the batch's own statistics. @param gamma, beta [C] */
export function batchNormTrain(x: Value, gamma: Value, beta: Value, epsilon = 1e-5): BatchNormResult {
  const [y, mean, variance] = x.graph.apply('BatchNormTrain', [x, gamma, beta], { epsilon });
  return { y: y!, mean: mean!, variance: variance! };
}

/** Normalises with given statistics. @param gamma, beta, mean, variance [C] */
export function batchNormInference(
  x: Value,
  gamma: Value,
  beta: Value,
  mean: Value,
  variance: Value,
  epsilon = 1e-5,
): Value {
  return x.graph.apply('BatchNormInference', [x, gamma, beta, mean, variance], { epsilon })[0]!;
}
