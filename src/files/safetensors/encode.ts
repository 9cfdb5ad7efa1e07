/** Encoding tensors as a safetensors file. */
import { UsageError } from '../../errors.js';
import type { JsonValue } from '../json.js';
import { quoted } from '../printable.js';
import { tensorBytes, writtenTypes } from './dtypes.js';
import {
  isCounts,
  isWellFormed,
  LENGTH_BYTES,
  MAX_HEADER_BYTES,
  MAX_RANK,
  METADATA,
  type JsonObject,
} from './format.js';
import { elementCount, type HostTensor, type NamedTensors } from '../tensor.js';

const SPACE = 0x20;

/**
 * Encodes tensors as a safetensors file. Data is laid out by element size, largest first, so that every tensor is
 * aligned; within one size the map's order is kept.
 * @param metadata strings to store beside the tensors
 * @throws UsageError `SAFETENSORS_TENSOR` if a tensor's data does not fit its shape and type, or a name is not allowed
 */
export function encodeSafetensors(tensors: NamedTensors, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const pieces = encodePieces(tensors, metadata);
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let filled = 0;
  for (const piece of pieces) {
    bytes.set(piece, filled);
    filled += piece.length;
  }
  return bytes;
}

/** The file as pieces that follow one another; tensors' data is not copied. */
export function encodePieces(tensors: NamedTensors, metadata: Readonly<Record<string, string>>): Uint8Array[] {
  const header: [string, JsonValue][] = Object.keys(metadata).length > 0 ? [[METADATA, { ...metadata }]] : [];
  const pieces: Uint8Array[] = [];
  let offset = 0;
  for (const [name, tensor] of bySizeOfElement(tensors)) {
    checkTensor(name, tensor);
    const bytes = tensorBytes(tensor);
    const span = [offset, offset + bytes.length];
    header.push([name, { dtype: writtenTypes[tensor.dtype].name, shape: [...tensor.shape], data_offsets: span }]);
    pieces.push(bytes);
    offset += bytes.length;
  }
  return [...encodeHeader(Object.fromEntries(header)), ...pieces];
}

/** The header's length and its text, padded with spaces so that the data starts at a multiple of 8. */
function encodeHeader(header: JsonObject): [Uint8Array, Uint8Array] {
  const text = JSON.stringify(header);
  const bytes = new TextEncoder().encode(text);
  const padded = Math.ceil(bytes.length / 8) * 8;
  if (padded > MAX_HEADER_BYTES) {
    throw new UsageError('SAFETENSORS_TENSOR', `header of ${padded} bytes; allowed: at most ${MAX_HEADER_BYTES}`);
  }
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded), true);
  const spaced = new Uint8Array(padded).fill(SPACE);
  spaced.set(bytes);
  return [length, spaced];
}

function bySizeOfElement(tensors: NamedTensors): [string, HostTensor][] {
  return [...tensors].sort(([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT);
}

function checkTensor(name: string, { dtype, shape, data }: HostTensor): void {
  const wrong = (reason: string) => new UsageError('SAFETENSORS_TENSOR', `tensor ${quoted(name)}: ${reason}`);
  if (name === METADATA || !isWellFormed(name)) throw wrong('its name is not allowed');
  if (shape.length > MAX_RANK || !isCounts(shape)) throw wrong(`its shape is [${shape.join(', ')}]`);
  if (elementCount(shape) !== data.length) {
    throw wrong(`has ${data.length} elements, but its shape is [${shape.join(', ')}]`);
  }
  if (data[Symbol.toStringTag] !== writtenTypes[dtype].array) {
    throw wrong(`is ${dtype}, but its data is a ${data[Symbol.toStringTag]}`);
  }
}
