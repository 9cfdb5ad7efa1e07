/** The element types of a safetensors file, and how their bytes become typed arrays. */
import type { DType, HostTensor, TypedArrays } from '../tensor.js';

/** What is read, and as what. */
interface StoredType {
  /** Bytes an element. */
  readonly size: number;
  readonly dtype: DType;
  /** The elements of `bytes`; a view where alignment allows it, else a copy. */
  readonly decode: (bytes: Uint8Array) => TypedArrays[DType];
}

/** Element types that are read. F64, F16 and BF16 become float32, rounded to nearest. */
export const storedTypes: ReadonlyMap<string, StoredType> = new Map<string, StoredType>([
  ['F32', { size: 4, dtype: 'float32', decode: (bytes) => view(Float32Array, bytes) }],
  ['I64', { size: 8, dtype: 'int64', decode: (bytes) => view(BigInt64Array, bytes) }],
  ['I32', { size: 4, dtype: 'int32', decode: (bytes) => view(Int32Array, bytes) }],
  ['U8', { size: 1, dtype: 'uint8', decode: (bytes) => bytes }],
  ['BOOL', { size: 1, dtype: 'bool', decode: (bytes) => bytes }],
  ['F64', { size: 8, dtype: 'float32', decode: (bytes) => Float32Array.from(view(Float64Array, bytes)) }],
  ['F16', { size: 2, dtype: 'float32', decode: (bytes) => Float32Array.from(view(Uint16Array, bytes), halfToNumber) }],
  ['BF16', { size: 2, dtype: 'float32', decode: (bytes) => bfloat16ToFloat32(view(Uint16Array, bytes)) }],
]);

/** The name under which an element type is written, and the class of its data. */
export const writtenTypes: Readonly<Record<DType, { readonly name: string; readonly array: string }>> = {
  float32: { name: 'F32', array: 'Float32Array' },
  int64: { name: 'I64', array: 'BigInt64Array' },
  int32: { name: 'I32', array: 'Int32Array' },
  uint8: { name: 'U8', array: 'Uint8Array' },
  bool: { name: 'BOOL', array: 'Uint8Array' },
};

/** The bytes of a tensor's elements, without copying. */
export function tensorBytes(tensor: HostTensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

interface ViewConstructor<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
}

/** The file is little-endian, and so is every machine that ONNX Runtime's npm package supports. */
function view<T>(type: ViewConstructor<T>, bytes: Uint8Array): T {
  const aligned = bytes.byteOffset % type.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new type(aligned.buffer, aligned.byteOffset, aligned.byteLength / type.BYTES_PER_ELEMENT);
}

/** IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** bfloat16 is the upper half of a float32. */
function bfloat16ToFloat32(values: Uint16Array): Float32Array {
  const bits = Uint32Array.from(values, (value) => value << 16);
  return new Float32Array(bits.buffer);
}
