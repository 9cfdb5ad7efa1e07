/** Sums and means over axes. */
import type { Value } from '../graph.js';
import type { ShapeRule } from '../operators.js';
import { expectAxes, expectRanks } from './arity.js';

interface ReduceAttributes {
  readonly axes: readonly number[];
  /** Keep reduced axes with length 1. */
  readonly keepDims: boolean;
}

export interface ReduceOps {
  ReduceSum: ReduceAttributes;
  ReduceMean: ReduceAttributes;
}

const rule: ShapeRule<'ReduceSum' | 'ReduceMean'> = (inputs, { axes, keepDims }, fail) => {
  const [x] = expectRanks(inputs, [null], fail);
  expectAxes(axes, x.shape.length, fail);
  const shape = x.shape.flatMap((dim, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [dim]));
  return [{ dtype: x.dtype, shape }];
};

export const reduceShapes = { ReduceSum: rule, ReduceMean: rule } satisfies { [O in keyof ReduceOps]: ShapeRule<O> };

const allAxes = (x: Value): number[] => x.shape.map((_, axis) => axis);

/** @param axes default: all */
export const reduceSum = (x: Value, axes = allAxes(x), keepDims = false): Value =>
  x.graph.apply('ReduceSum', [x], { axes, keepDims })[0]!;

/** @param axes default: all */
export const reduceMean = (x: Value, axes = allAxes(x), keepDims = false): Value =>
  x.graph.apply('ReduceMean', [x], { axes, keepDims })[0]!;
