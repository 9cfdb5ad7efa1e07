/** Tensors in JavaScript memory, as files and commands exchange them. */

/** Element types that hpff stores and moves. */
export type DType = 'float32' | 'int64' | 'int32' | 'uint8' | 'bool';

/** The typed array that holds elements of a type. */
export interface TypedArrays {
  float32: Float32Array;
  int64: BigInt64Array;
  int32: Int32Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

/** A dense row-major tensor. `data.length` is the product of `shape`. */
export interface HostTensor<T extends DType = DType> {
  readonly dtype: T;
  readonly shape: readonly number[];
  readonly data: TypedArrays[T];
}

/** Tensors by name; iteration order is the order in the file. */
export type NamedTensors = Map<string, HostTensor>;

/** Number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** Shorthand for a float32 tensor. */
export function float32(shape: readonly number[], data: Float32Array | readonly number[]): HostTensor<'float32'> {
  return { dtype: 'float32', shape, data: data instanceof Float32Array ? data : Float32Array.from(data) };
}
