/** Dense float64 tensors of the reference interpreter, and walks over their elements. Plain rather than fast. */

export interface Tensor {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: Float64Array;
}

export const count = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

/** Every index of a shape, in row-major order. The array that is yielded is reused. */
export function* indicesOf(shape: readonly number[]): Generator<readonly number[]> {
  const index = shape.map(() => 0);
  for (let n = count(shape); n > 0; n--) {
    yield index;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
}

/** Where the element at `index` lies in a row-major tensor of `shape`. */
export function offset(shape: readonly number[], index: readonly number[]): number {
  return shape.reduce((at, dim, axis) => at * dim + index[axis]!, 0);
}

/** The element that broadcasting puts at `index` of a result: axes are aligned at the end, those of length 1 repeat. */
export function broadcastAt({ shape, data }: Tensor, index: readonly number[]): number {
  const leading = index.length - shape.length;
  const own = shape.map((dim, axis) => (dim === 1 ? 0 : index[leading + axis]!));
  return data[offset(shape, own)]!;
}

/** A tensor whose element at each index is computed. */
export function tabulate(shape: readonly number[], element: (index: readonly number[]) => number): Float64Array {
  const data = new Float64Array(count(shape));
  let at = 0;
  for (const index of indicesOf(shape)) data[at++] = element(index);
  return data;
}
