/** Gradients of sums and means: the cotangent repeated over the reduced axes. */
import { expand, mul, reshape, staticDim, type Value } from '../../graph/index.js';
import type { ReduceOps } from '../../graph/ops/reduce.js';
import { type GradientRule, only, type RulesFor } from '../rule.js';

function spread(x: Value, axes: readonly number[], cotangent: Value): Value {
  const kept = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  return expand(reshape(cotangent, kept), x.shape);
}

const sumRule: GradientRule<'ReduceSum'> = ({ inputs: [x], attributes: { axes } }, cotangents) => [
  spread(x!, axes, only(cotangents)),
];

const meanRule: GradientRule<'ReduceMean'> = ({ inputs: [x], attributes: { axes } }, cotangents) => {
  const count = axes.reduce((product, axis) => product * staticDim(x!.shape, axis), 1);
  return [spread(x!, axes, mul(only(cotangents), 1 / count))];
};

export const reduceRules: RulesFor<ReduceOps> = { ReduceSum: sumRule, ReduceMean: meanRule };
