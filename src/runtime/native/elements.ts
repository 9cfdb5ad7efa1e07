/** ONNX's codes of element types. */
import type { DType } from '../../files/tensor.js';

export const elementCodes = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9 } as const satisfies Record<
  DType,
  number
>;

/** The element type of each code. */
export const dtypes: ReadonlyMap<number, DType> = new Map(
  Object.entries(elementCodes).map(([dtype, code]) => [code, dtype as DType]),
);
