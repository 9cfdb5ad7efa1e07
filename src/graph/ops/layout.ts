/** Operators that move elements without computing: reshape, transpose, slice, pad, concat, expand, one-hot. */
import { UsageError } from '../../errors.js';
import type { Value } from '../graph.js';
import type { ShapeRule } from '../operators.js';
import { broadcastShapes, type Dim, sameShape, type Shape } from '../types.js';
import { expectAxes, expectIntegers, expectRanks } from './arity.js';

export interface LayoutOps {
  Reshape: { readonly shape: Shape };
  Transpose: { readonly perm: readonly number[] };
  /** Elements starts[i] ≤ index < ends[i] along axes[i]. */
  Slice: { readonly axes: readonly number[]; readonly starts: readonly number[]; readonly ends: readonly number[] };
  /** Zeros around: before[axis] and after[axis] elements. */
  Pad: { readonly before: readonly number[]; readonly after: readonly number[] };
  Concat: { readonly axis: number };
  /** Repeats axes of length 1, as broadcasting does. */
  Expand: { readonly shape: Shape };
  /** int64 [N] → float32 [N, classes]. */
  OneHot: { readonly classes: number };
  /** (x, …others) → x, but not before the others have been computed. */
  After: Record<string, never>;
}

const known = (shape: Shape): number[] => shape.filter((dim) => typeof dim === 'number');

/** Product of the known dimensions and the sorted names of the others. */
function size(shape: Shape): string {
  const product = known(shape).reduce((product, dim) => product * dim, 1);
  const names = shape.filter((dim) => typeof dim === 'string').sort();
  return [product, ...names].join('·');
}

export const layoutShapes = {
  Reshape: (inputs, { shape }, fail) => {
    const [x] = expectRanks(inputs, [null], fail);
    expectIntegers('dimensions', known(shape), 0, fail);
    // A run time infers one dimension, not two.
    if (shape.length - known(shape).length > 1) throw fail(`shape [${shape.join(', ')}] has more than one unknown`);
    if (size(x.shape) !== size(shape)) throw fail(`cannot take shape [${shape.join(', ')}]`);
    return [{ dtype: x.dtype, shape }];
  },
  Transpose: (inputs, { perm }, fail) => {
    const [x] = expectRanks(inputs, [null], fail);
    if (perm.length !== x.shape.length) throw fail(`perm has ${perm.length} axes`);
    expectAxes(perm, x.shape.length, fail);
    return [{ dtype: x.dtype, shape: perm.map((axis) => x.shape[axis]!) }];
  },
  Slice: (inputs, { axes, starts, ends }, fail) => {
    const [x] = expectRanks(inputs, [null], fail);
    expectAxes(axes, x.shape.length, fail);
    if (starts.length !== axes.length || ends.length !== axes.length) throw fail('needs starts and ends for all axes');
    const shape: Dim[] = [...x.shape];
    axes.forEach((axis, i) => {
      const [start, end] = [starts[i]!, ends[i]!];
      const dim = shape[axis]!;
      if (typeof dim !== 'number' || start < 0 || end <= start || end > dim) {
        throw fail(`slice ${start}…${end} does not fit axis ${axis}`);
      }
      shape[axis] = end - start;
    });
    return [{ dtype: x.dtype, shape }];
  },
  Pad: (inputs, { before, after }, fail) => {
    const [x] = expectRanks(inputs, [null], fail);
    if (before.length !== x.shape.length || after.length !== x.shape.length) throw fail('needs padding for every axis');
    expectIntegers('padding', [...before, ...after], 0, fail);
    const shape = x.shape.map((dim, axis) => {
      const padding = before[axis]! + after[axis]!;
      if (padding === 0) return dim;
      if (typeof dim !== 'number') throw fail(`axis ${axis} is not a known number`);
      return dim + padding;
    });
    return [{ dtype: x.dtype, shape }];
  },
  Concat: (inputs, { axis }, fail) => {
    const [first] = inputs;
    if (!first) throw fail('takes at least 1 input');
    expectAxes([axis], first.shape.length, fail);
    let total = 0;
    for (const input of inputs) {
      const dim = input.shape[axis];
      if (typeof dim !== 'number') throw fail(`axis ${axis} is not a known number`);
      const rest = (shape: Shape): Shape => shape.filter((_, i) => i !== axis);
      if (!sameShape(rest(input.shape), rest(first.shape))) throw fail(`shapes differ outside axis ${axis}`);
      if (input.dtype !== first.dtype) throw fail('element types differ');
      total += dim;
    }
    return [{ dtype: first.dtype, shape: first.shape.map((dim, i) => (i === axis ? total : dim)) }];
  },
  Expand: (inputs, { shape }, fail) => {
    const [x] = expectRanks(inputs, [null], fail);
    const result = broadcastShapes(x.shape, shape);
    if (!result || !sameShape(result, shape)) throw fail(`does not broadcast to [${shape.join(', ')}]`);
    shape.forEach((dim, axis) => {
      const own = x.shape[axis - (shape.length - x.shape.length)];
      if (typeof dim === 'string' && own !== dim) throw fail(`cannot repeat along ${dim}, which is no known number`);
    });
    return [{ dtype: x.dtype, shape }];
  },
  OneHot: (inputs, { classes }, fail) => {
    const [labels] = expectRanks(inputs, [1], fail);
    if (labels.dtype !== 'int64') throw fail('labels must be int64');
    expectIntegers('classes', [classes], 1, fail);
    return [{ dtype: 'float32', shape: [labels.shape[0]!, classes] }];
  },
  After: (inputs, _attributes, fail) => {
    const [x] = inputs;
    if (!x || inputs.length < 2) throw fail('takes a value and at least one other');
    return [{ dtype: x.dtype, shape: x.shape }];
  },
} satisfies { [O in keyof LayoutOps]: ShapeRule<O> };

export const reshape = (x: Value, shape: Shape): Value => x.graph.apply('Reshape', [x], { shape })[0]!;
export const transpose = (x: Value, perm: readonly number[]): Value => x.graph.apply('Transpose', [x], { perm })[0]!;
export const slice = (x: Value, attributes: LayoutOps['Slice']): Value => x.graph.apply('Slice', [x], attributes)[0]!;
export const pad = (x: Value, attributes: LayoutOps['Pad']): Value => x.graph.apply('Pad', [x], attributes)[0]!;
export const expand = (x: Value, shape: Shape): Value => x.graph.apply('Expand', [x], { shape })[0]!;
/** Zeros of a value's shape. */
export const zerosLike = (x: Value): Value => expand(x.graph.scalar(0), x.shape);
export const oneHot = (labels: Value, classes: number): Value =>
  labels.graph.apply('OneHot', [labels], { classes })[0]!;

/** x, for readers that are to wait until `others` have been computed; x itself where there are none. */
export const after = (x: Value, others: readonly Value[]): Value =>
  others.length === 0 ? x : x.graph.apply('After', [x, ...others], {})[0]!;

/** Joins values along an axis; a single value is returned as it is. */
export function concat(values: readonly Value[], axis: number): Value {
  const [first] = values;
  if (!first) throw new UsageError('GRAPH_CONCAT', 'concat: no values to join');
  return values.length === 1 ? first : first.graph.apply('Concat', values, { axis })[0]!;
}
