/** Element types of tensors. */
import type { DType } from '../../files/tensor.js';

/** A typed array class of an element type, and ONNX's code of that type. */
export const ELEMENTS = {
  float32: { code: 1, array: Float32Array },
  uint8: { code: 2, array: Uint8Array },
  int32: { code: 6, array: Int32Array },
  int64: { code: 7, array: BigInt64Array },
  bool: { code: 9, array: Uint8Array },
} as const satisfies Record<DType, { code: number; array: unknown }>;
