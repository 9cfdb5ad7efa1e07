/** Reading a tensor of an ONNX file, wherever the file keeps its data. */
import { byteLength, dtypeOf, elementTypeOf } from './element-types.js';
import type { ElementType } from './element-types.js';
import type { OnnxTensor } from './model.js';
import { quote, quoteShape } from './quote.js';
import type { Message } from './wire.js';

/** Where a tensor keeps its data outside the model file. */
export interface ExternalReference {
  /** A path relative to the model's folder, as the file gives it: to be checked. */
  readonly location: string;
  /** Where the data start in that file, in bytes. */
  readonly offset: number;
  /** Bytes of data. */
  readonly length: number;
  /** The tensor, for error messages. */
  readonly tensor: string;
}

/** @throws InputError if the place is not allowed or does not hold the bytes */
export type ReadExternal = (reference: ExternalReference) => Uint8Array;

/** A field of TensorProto that can hold the data. */
type DataField = keyof typeof FIELDS;

const FIELDS = {
  raw_data: 9,
  float_data: 4,
  int32_data: 5,
  int64_data: 7,
  double_data: 10,
  uint64_data: 11,
} as const;

const SEGMENT = 3;
const EXTERNAL = 1;

/** Types whose elements are kept in another typed field than `int32_data`. */
const TYPED_FIELDS: Readonly<Record<string, DataField>> = {
  FLOAT: 'float_data',
  COMPLEX64: 'float_data',
  DOUBLE: 'double_data',
  COMPLEX128: 'double_data',
  INT64: 'int64_data',
  UINT32: 'uint64_data',
  UINT64: 'uint64_data',
};

/**
 * A TensorProto. Data in `raw_data` and in packed `float_data` are views of the file.
 * @param readExternal reads data outside the file; without it such a tensor is refused
 * @throws InputError
 */
export function decodeTensor(message: Message, readExternal: ReadExternal | undefined): OnnxTensor {
  const name = message.string(8, 'name');
  const code = message.safeInteger(2, 'data_type');
  const shape = message.safeIntegers(1, 'dims');
  const type = elementTypeOf(code);
  if (type === undefined) message.refuse(`tensor ${quote(name)} has elements of type ${code}`);
  if (type.name === 'STRING') message.refuse(`tensor ${quote(name)} has elements of type STRING`);
  if (message.has(SEGMENT)) message.refuse(`tensor ${quote(name)} is one segment of a tensor`);

  const length = dataLength(message, code, shape);
  const external = message.safeInteger(14, 'data_location') === EXTERNAL;
  const bytes = external
    ? externalData(message, name, length, readExternal)
    : inlineData(message, type, length, `tensor ${quote(name)} ${quoteShape(shape)} ${type.name}`);
  const tensor = { name, dtype: dtypeOf(code), shape, bytes };
  return tensor.dtype === 'other' ? { ...tensor, elementType: code } : tensor;
}

/** Bytes that a tensor must have. */
function dataLength(message: Message, code: number, shape: readonly number[]): number {
  let count = 1;
  for (const dim of shape) {
    if (dim < 0) message.fail(`dims ${quoteShape(shape)}: ${dim} is negative`);
    // Zeros are left out, so that a product past the safe integers is refused even where a zero would hide it.
    if (dim !== 0) count *= dim;
    if (!Number.isSafeInteger(count * 16))
      message.fail(`dims ${quoteShape(shape)} multiply to more than 2^49 elements`);
  }
  return byteLength(code, shape.includes(0) ? 0 : count) as number;
}

function inlineData(message: Message, type: ElementType, length: number, what: string): Uint8Array {
  const present = (Object.keys(FIELDS) as DataField[]).filter((field) => message.has(FIELDS[field]));
  if (present.length > 1) message.fail(`${what} has data in ${present.join(' and ')}, must have them in one`);
  const [field] = present;
  if (field === undefined) {
    if (length > 0) message.fail(`${what} has no data, needs ${length} bytes`);
    return new Uint8Array(0);
  }
  const typed = TYPED_FIELDS[type.name] ?? 'int32_data';
  if (field !== 'raw_data' && field !== typed) {
    message.fail(`${what} has data in ${field}, must have them in raw_data or ${typed}`);
  }
  switch (field) {
    case 'raw_data':
      return sized(message, message.bytes(FIELDS[field], field) as Uint8Array, length, `${what}: ${field}`);
    case 'float_data':
      return sized(message, message.fixed(FIELDS[field], field, 4), length, `${what}: ${field}`);
    case 'double_data':
      return sized(message, message.fixed(FIELDS[field], field, 8), length, `${what}: ${field}`);
    default:
      return integerData(message, field, type, length, what);
  }
}

function sized(message: Message, bytes: Uint8Array, length: number, what: string): Uint8Array {
  if (bytes.length !== length) message.fail(`${what} has ${bytes.length} bytes, dims and type need ${length}`);
  return bytes;
}

/** Elements that are kept as one varint each; those under a byte are packed, a byte to each varint. */
function integerData(
  message: Message,
  field: 'int32_data' | 'int64_data' | 'uint64_data',
  type: ElementType,
  length: number,
  what: string,
): Uint8Array {
  const width = Math.max(8, type.bits);
  const count = message.countIntegers(FIELDS[field], field);
  const needed = (length * 8) / width;
  if (count !== needed) message.fail(`${what}: ${field} has ${count} elements, dims need ${needed}`);

  const [least, most] = limits(type);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  message.int64s(FIELDS[field], field, count).forEach((value, index) => {
    if (value < least || value > most) message.fail(`${what}: ${field} holds ${value}, which the type cannot`);
    if (width === 64) view.setBigInt64(index * 8, value, true);
    else if (width === 32) view.setInt32(index * 4, Number(BigInt.asIntN(32, value)), true);
    else if (width === 16) view.setInt16(index * 2, Number(value), true);
    else view.setInt8(index, Number(value));
  });
  return bytes;
}

/** The least and greatest integer that stands for an element of a type. */
function limits(type: ElementType): [bigint, bigint] {
  if (type.name === 'BOOL') return [0n, 1n];
  // All 64 bits are used; UINT64 comes as the signed number of the same bits.
  if (type.bits === 64) return [-(2n ** 63n), 2n ** 63n - 1n];
  const bits = BigInt(Math.max(8, type.bits));
  const signed = /^INT/.test(type.name);
  if (type.bits < 8) return [-(2n ** (bits - 1n)), 2n ** bits - 1n];
  return signed ? [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n] : [0n, 2n ** bits - 1n];
}

function externalData(
  message: Message,
  name: string,
  length: number,
  readExternal: ReadExternal | undefined,
): Uint8Array {
  const what = `tensor ${quote(name)}`;
  const present = (Object.keys(FIELDS) as DataField[]).filter((field) => message.has(FIELDS[field]));
  if (present.length > 0) message.fail(`${what} has data in ${present.join(' and ')} and outside the file`);
  const entries = new Map<string, string>();
  for (const entry of message.messages(13, 'external_data')) {
    const key = entry.string(1, 'key');
    if (entries.has(key)) entry.fail(`${what}: external data give ${quote(key)} twice`);
    entries.set(key, entry.string(2, 'value'));
  }
  const location = entries.get('location') ?? message.fail(`${what}: external data have no location`);
  const declared = decimal(message, entries, 'length', what) ?? length;
  if (declared !== length)
    message.fail(`${what}: external data declare ${declared} bytes, dims and type need ${length}`);
  const offset = decimal(message, entries, 'offset', what) ?? 0;
  if (readExternal === undefined) {
    message.refuse(`${what} keeps its data in another file, ${quote(location)}`);
  }
  return readExternal({ location, offset, length, tensor: name });
}

function decimal(
  message: Message,
  entries: ReadonlyMap<string, string>,
  key: string,
  what: string,
): number | undefined {
  const text = entries.get(key);
  if (text === undefined) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) message.fail(`${what}: external data have ${key} ${quote(text)}, must be bytes`);
  return value;
}
