/** Gradients of elementwise operators. */
import {
  broadcastAxes,
  div,
  mul,
  neg,
  reduceSum,
  reluGrad,
  reshape,
  sameShape,
  type Shape,
  sub,
  type Value,
} from '../../graph/index.js';
import type { ElementwiseOps } from '../../graph/ops/elementwise.js';
import { only, type RulesFor } from '../rule.js';

/** Sums a cotangent over the axes along which broadcasting repeated the operand. */
export function unbroadcast(cotangent: Value, shape: Shape): Value {
  if (sameShape(cotangent.shape, shape)) return cotangent;
  const summed = reduceSum(cotangent, broadcastAxes(shape, cotangent.shape));
  return sameShape(summed.shape, shape) ? summed : reshape(summed, shape);
}

export const elementwiseRules: RulesFor<ElementwiseOps> = {
  Add: ({ inputs }, cotangents, wanted) =>
    inputs.map((input, i) => (wanted[i] ? unbroadcast(only(cotangents), input.shape) : undefined)),
  Sub: ({ inputs: [a, b] }, cotangents, [wantA, wantB]) => [
    wantA ? unbroadcast(only(cotangents), a!.shape) : undefined,
    wantB ? unbroadcast(neg(only(cotangents)), b!.shape) : undefined,
  ],
  Mul: ({ inputs: [a, b] }, cotangents, [wantA, wantB]) => [
    wantA ? unbroadcast(mul(only(cotangents), b!), a!.shape) : undefined,
    wantB ? unbroadcast(mul(only(cotangents), a!), b!.shape) : undefined,
  ],
  Div: ({ inputs: [a, b], outputs: [y] }, cotangents, [wantA, wantB]) => {
    const scaled = div(only(cotangents), b!);
    return [
      wantA ? unbroadcast(scaled, a!.shape) : undefined,
      wantB ? unbroadcast(neg(mul(scaled, y!)), b!.shape) : undefined,
    ];
  },
  Neg: (_node, cotangents) => [neg(only(cotangents))],
  // d sqrt(x) = 1 / (2·sqrt(x))
  Sqrt: ({ outputs: [y] }, cotangents) => [div(mul(only(cotangents), 0.5), y!)],
  Exp: ({ outputs: [y] }, cotangents) => [mul(only(cotangents), y!)],
  Log: ({ inputs: [x] }, cotangents) => [div(only(cotangents), x!)],
  // d (1/x) = -1/x²
  Reciprocal: ({ outputs: [y] }, cotangents) => [neg(mul(only(cotangents), mul(y!, y!)))],
  Relu: ({ outputs: [y] }, cotangents) => [reluGrad(only(cotangents), y!)],
  ReluGrad: null,
  // d σ = σ·(1-σ)
  Sigmoid: ({ outputs: [y] }, cotangents) => [mul(only(cotangents), mul(y!, sub(1, y!)))],
};
