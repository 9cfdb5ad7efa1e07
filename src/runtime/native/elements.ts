/** Element types of tensors. */
import type { DType } from '../../files/tensor.js';
import { arrays } from '../layout.js';

/** A typed array class of an element type, and ONNX's code of that type. */
export const ELEMENTS = {
  float32: { code: 1, array: arrays.float32 },
  uint8: { code: 2, array: arrays.uint8 },
  int32: { code: 6, array: arrays.int32 },
  int64: { code: 7, array: arrays.int64 },
  bool: { code: 9, array: arrays.bool },
} as const satisfies Record<DType, { code: number; array: unknown }>;
