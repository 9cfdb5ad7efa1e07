/** The table of logical operators: for each its attributes and how the types of its outputs follow from its inputs. */
import type { UsageError } from '../errors.js';
import { type ConvOps, convShapes } from './ops/conv.js';
import { type ElementwiseOps, elementwiseShapes } from './ops/elementwise.js';
import { type LayoutOps, layoutShapes } from './ops/layout.js';
import { type LinearOps, linearShapes } from './ops/linear.js';
import { type LossOps, lossShapes } from './ops/loss.js';
import { type NormOps, normShapes } from './ops/norm.js';
import { type PoolOps, poolShapes } from './ops/pool.js';
import { type ReduceOps, reduceShapes } from './ops/reduce.js';
import type { TensorType } from './types.js';

/** Attributes by operator. */
export interface OpAttributes
  extends ElementwiseOps, LayoutOps, ReduceOps, LinearOps, ConvOps, NormOps, PoolOps, LossOps {}

export type OpName = keyof OpAttributes;

/** Infers output types; calls `fail` (and throws its result) where the inputs do not fit. */
export type ShapeRule<O extends OpName> = (
  inputs: readonly TensorType[],
  attributes: OpAttributes[O],
  fail: (problem: string) => UsageError,
) => readonly TensorType[];

export const shapeRules: { readonly [O in OpName]: ShapeRule<O> } = {
  ...elementwiseShapes,
  ...layoutShapes,
  ...reduceShapes,
  ...linearShapes,
  ...convShapes,
  ...normShapes,
  ...poolShapes,
  ...lossShapes,
};
