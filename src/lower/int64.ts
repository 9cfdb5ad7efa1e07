/** Integers of a constant: shapes, axes, positions. */
import type { OnnxTensor } from '../onnx/model.js';

/** Elements of an int64 tensor, which may lie at any alignment. */
export function int64s({ bytes }: OnnxTensor): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / 8 }, (_, i) => Number(view.getBigInt64(8 * i, true)));
}

/** The data of an int64 tensor. */
export function int64Bytes(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(8 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setBigInt64(8 * i, BigInt(value), true));
  return bytes;
}
