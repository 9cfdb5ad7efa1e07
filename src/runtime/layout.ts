/** Element types and shapes of tensors, and checks of them, whatever the runtime. */
import { UsageError } from '../errors.js';
import { type DType, elementCount, type HostTensor } from '../files/tensor.js';

/** The typed array class of each element type. */
export const arrays = {
  float32: Float32Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
} as const satisfies Record<DType, unknown>;

/** @throws UsageError for an unknown dtype, an impossible shape, or data that do not fill it */
export function checkHostTensor({ dtype, shape, data }: HostTensor): void {
  checkLayout(dtype, shape);
  const array = arrays[dtype];
  if (!(data instanceof array) || data.length !== elementCount(shape)) {
    throw new UsageError(
      'TENSOR_DATA',
      `tensor ${describe(dtype, shape)} needs a ${array.name} of ${elementCount(shape)} elements, found ${data.constructor.name} of ${data.length}`,
    );
  }
}

/** @throws UsageError for an unknown dtype or an impossible shape */
export function checkLayout(dtype: DType, shape: readonly number[]): void {
  if (!Object.hasOwn(arrays, dtype)) {
    const allowed = Object.keys(arrays).join(', ');
    throw new UsageError('TENSOR_DTYPE', `tensor has dtype '${String(dtype)}'; allowed: ${allowed}`);
  }
  const bytes = elementCount(shape) * arrays[dtype].BYTES_PER_ELEMENT;
  if (!shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0) || !Number.isSafeInteger(bytes)) {
    throw new UsageError(
      'TENSOR_SHAPE',
      `tensor ${describe(dtype, shape)}: dimensions must be whole numbers from 0 that multiply to a safe integer of bytes`,
    );
  }
}

/** e.g. `float32 [2, 3]` */
export function describe(dtype: DType, shape: readonly number[]): string {
  return `${dtype} [${shape.join(', ')}]`;
}

/** @throws UsageError where a copy between a tensor and `other` would not fill either */
export function checkCopy(dtype: DType, shape: readonly number[], other: HostTensor): void {
  checkHostTensor(other);
  const size = elementCount(shape);
  if (other.dtype === dtype && other.data.length === size) return;
  throw new UsageError(
    'TENSOR_MISMATCH',
    `tensor ${describe(dtype, shape)} holds ${size} elements of ${dtype}, found ${describe(other.dtype, other.shape)} on the other side of the copy`,
  );
}
