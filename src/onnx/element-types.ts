/** ONNX's element types: their codes in TensorProto.DataType, their names and their sizes. */
import { UsageError } from '../errors.js';
import type { OnnxElementType } from './model.js';
import { quote } from './quote.js';

export interface ElementType {
  /** The name in ONNX's files and documentation. */
  readonly name: string;
  /** Bits of one element in `raw_data`; 0 for strings, which have none. */
  readonly bits: number;
  /** hpff's name of the type, where it has one. */
  readonly dtype?: Exclude<OnnxElementType, 'other'>;
}

const ELEMENT_TYPES: Readonly<Record<number, ElementType>> = {
  1: { name: 'FLOAT', bits: 32, dtype: 'float32' },
  2: { name: 'UINT8', bits: 8, dtype: 'uint8' },
  3: { name: 'INT8', bits: 8 },
  4: { name: 'UINT16', bits: 16 },
  5: { name: 'INT16', bits: 16 },
  6: { name: 'INT32', bits: 32, dtype: 'int32' },
  7: { name: 'INT64', bits: 64, dtype: 'int64' },
  8: { name: 'STRING', bits: 0 },
  9: { name: 'BOOL', bits: 8, dtype: 'bool' },
  10: { name: 'FLOAT16', bits: 16 },
  11: { name: 'DOUBLE', bits: 64, dtype: 'float64' },
  12: { name: 'UINT32', bits: 32 },
  13: { name: 'UINT64', bits: 64 },
  14: { name: 'COMPLEX64', bits: 64 },
  15: { name: 'COMPLEX128', bits: 128 },
  16: { name: 'BFLOAT16', bits: 16 },
  17: { name: 'FLOAT8E4M3FN', bits: 8 },
  18: { name: 'FLOAT8E4M3FNUZ', bits: 8 },
  19: { name: 'FLOAT8E5M2', bits: 8 },
  20: { name: 'FLOAT8E5M2FNUZ', bits: 8 },
  21: { name: 'UINT4', bits: 4 },
  22: { name: 'INT4', bits: 4 },
  23: { name: 'FLOAT4E2M1', bits: 4 },
  24: { name: 'FLOAT8E8M0', bits: 8 },
  25: { name: 'UINT2', bits: 2 },
  26: { name: 'INT2', bits: 2 },
};

/** The element type with a code, or undefined if ONNX has none. */
export function elementTypeOf(code: number): ElementType | undefined {
  return ELEMENT_TYPES[code];
}

/** hpff's name for an element type code; 'other' where hpff has none. */
export function dtypeOf(code: number): OnnxElementType {
  return ELEMENT_TYPES[code]?.dtype ?? 'other';
}

const CODES = new Map(
  Object.entries(ELEMENT_TYPES).flatMap(([code, { dtype }]) => (dtype === undefined ? [] : [[dtype, Number(code)]])),
);

/**
 * The code of a tensor's or value's element type.
 * @throws UsageError if `dtype` is 'other' and no `elementType` says which
 */
export function codeOf(typed: {
  readonly name: string;
  readonly dtype: OnnxElementType;
  readonly elementType?: number;
}): number {
  const code = typed.dtype === 'other' ? typed.elementType : CODES.get(typed.dtype);
  if (code === undefined) {
    throw new UsageError(
      'ONNX_ELEMENT_TYPE',
      `ONNX value ${quote(typed.name)} has dtype 'other' but no elementType code`,
    );
  }
  return code;
}

/** Bytes of `count` elements of a type in `raw_data`; undefined for strings and unknown types. Elements under a byte are packed. */
export function byteLength(code: number, count: number): number | undefined {
  const bits = ELEMENT_TYPES[code]?.bits;
  return bits ? Math.ceil((count * bits) / 8) : undefined;
}
