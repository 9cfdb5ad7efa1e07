/** Shapes and element types of values in a graph. */
import { UsageError } from '../errors.js';

/** Element types that graph values can have. */
export type GraphDType = 'float32' | 'int64';

/** A number of elements, or the name of a dimension that is known only when the graph runs (the batch, in inference). */
export type Dim = number | string;

export type Shape = readonly Dim[];

export interface TensorType {
  readonly dtype: GraphDType;
  readonly shape: Shape;
}

export function float32Type(shape: Shape): TensorType {
  return { dtype: 'float32', shape };
}

/** e.g. `float32[8, 3, 32, 32]`. */
export function formatType(type: TensorType): string {
  return `${type.dtype}[${type.shape.join(', ')}]`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** The dimension as a number. @throws UsageError where it is symbolic */
export function staticDim(shape: Shape, axis: number): number {
  const dim = shape[axis];
  if (typeof dim !== 'number') {
    throw new UsageError('SHAPE_NOT_STATIC', `axis ${axis} of [${shape.join(', ')}] must be a known number here`);
  }
  return dim;
}

/** All dimensions as numbers. @throws UsageError where one is symbolic */
export function staticShape(shape: Shape): number[] {
  return shape.map((_, axis) => staticDim(shape, axis));
}

/** Shape of an elementwise result under NumPy's broadcasting, or null where the shapes do not fit. */
export function broadcastShapes(a: Shape, b: Shape): Shape | null {
  const rank = Math.max(a.length, b.length);
  const result: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const left = a[axis - (rank - a.length)] ?? 1;
    const right = b[axis - (rank - b.length)] ?? 1;
    if (left === right || right === 1) result.push(left);
    else if (left === 1) result.push(right);
    else return null;
  }
  return result;
}

/** Axes of `to` along which a value of shape `from` is repeated by broadcasting. */
export function broadcastAxes(from: Shape, to: Shape): number[] {
  const offset = to.length - from.length;
  return to.flatMap((dim, axis) => (axis < offset || (from[axis - offset] === 1 && dim !== 1) ? [axis] : []));
}
