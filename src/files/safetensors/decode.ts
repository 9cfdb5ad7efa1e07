/** Decoding a safetensors file. The reader trusts nothing that it has not checked. */
import { InputError, UsageError } from '../../errors.js';
import { JsonError, parseJson, type JsonValue } from '../json.js';
import { printable, quoted } from '../printable.js';
import { storedTypes } from './dtypes.js';
import {
  isCounts,
  isWellFormed,
  LENGTH_BYTES,
  MAX_HEADER_BYTES,
  MAX_RANK,
  MAX_TENSORS,
  METADATA,
  type JsonObject,
} from './format.js';
import type { HostTensor, NamedTensors } from '../tensor.js';

/** The content of a safetensors file. */
export interface Safetensors {
  /** In the order of the data. */
  readonly tensors: NamedTensors;
  /** The header's `__metadata__`. */
  readonly metadata: Record<string, string>;
}

const ENTRY_KEYS = ['dtype', 'shape', 'data_offsets'];

/**
 * Decodes the content of a safetensors file. F32, I64, I32, U8 and BOOL are read as they are; F64, F16 and BF16 become
 * float32, rounded to nearest (F64 past float32's range becomes infinite); other types are refused. Tensors share memory
 * with `bytes` where alignment allows it.
 * @param where the file's name, for errors
 * @throws InputError `SAFETENSORS_TRUNCATED`, `SAFETENSORS_PICKLE`, `SAFETENSORS_HEADER_TOO_LARGE`, `SAFETENSORS_HEADER_INVALID`,
 * `SAFETENSORS_DUPLICATE_KEY`, `SAFETENSORS_METADATA`, `SAFETENSORS_TOO_MANY_TENSORS`, `SAFETENSORS_ENTRY_INVALID`,
 * `SAFETENSORS_DTYPE`, `SAFETENSORS_SHAPE`, `SAFETENSORS_SPAN`, `SAFETENSORS_OVERLAP`, `SAFETENSORS_HOLE`,
 * `SAFETENSORS_TRAILING_BYTES`, `SAFETENSORS_VALUE`
 */
export function decodeSafetensors(bytes: Uint8Array, where: string): Safetensors {
  const file = printable(where);
  const headerBytes = headerLength(bytes, file);
  const dataStart = LENGTH_BYTES + headerBytes;
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, dataStart), file);
  const entries = readEntries(header, file);
  checkSpans(entries, dataStart, bytes.length, file);
  const tensors: NamedTensors = new Map();
  for (const entry of entries) {
    const data = bytes.subarray(dataStart + entry.begin, dataStart + entry.end);
    tensors.set(entry.name, decodeTensor(entry, data, dataStart, file));
  }
  return { tensors, metadata: readMetadata(header, file) };
}

/** One tensor's entry in the header. `begin` and `end` count bytes from the start of the data. */
interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function headerLength(bytes: Uint8Array, file: string): number {
  if (bytes.length < LENGTH_BYTES) {
    throw new InputError(
      'SAFETENSORS_TRUNCATED',
      `${file}: has ${bytes.length} bytes; a safetensors file has at least ${LENGTH_BYTES}`,
    );
  }
  requireNoPickle(bytes, file);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    throw new InputError(
      'SAFETENSORS_HEADER_TOO_LARGE',
      `${file}: not a safetensors file: its first 8 bytes claim a header of ${length} bytes; allowed: ${MAX_HEADER_BYTES}`,
    );
  }
  if (Number(length) > bytes.length - LENGTH_BYTES) {
    throw new InputError(
      'SAFETENSORS_TRUNCATED',
      `${file}: the header should reach to byte ${LENGTH_BYTES + Number(length)}, but the file ends at ${bytes.length}`,
    );
  }
  return Number(length);
}

/** PyTorch's own files: a zip of pickles, or, before 1.6, a bare pickle. Reading a pickle means running what it says. */
function requireNoPickle(bytes: Uint8Array, file: string): void {
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
  const isPickle = bytes[0] === 0x80 && bytes[1]! >= 2 && bytes[1]! <= 5;
  if (!isZip && !isPickle) return;
  const kind = isZip ? "a zip file, as PyTorch's .pt and .pth are" : 'a Python pickle, as old .pt and .pth files are';
  const remedy = 'convert it by safetensors.torch.save_file in Python (docs/pytorch.md)';
  throw new InputError('SAFETENSORS_PICKLE', `${file}: is ${kind}; allowed: safetensors; ${remedy}`);
}

function parseHeader(bytes: Uint8Array, file: string): JsonObject {
  const invalid = (reason: string) => new InputError('SAFETENSORS_HEADER_INVALID', `${file}: header: ${reason}`);
  if (bytes[0] !== 0x7b) throw invalid('does not start with "{" at byte 8');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid('is not UTF-8');
  }
  try {
    return parseJson(text) as JsonObject; // it starts with "{"
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const offset = LENGTH_BYTES + new TextEncoder().encode(text.slice(0, error.position)).length;
    if (error.kind !== 'duplicate-key') throw invalid(`not valid JSON at byte ${offset}: ${error.reason}`);
    throw new InputError('SAFETENSORS_DUPLICATE_KEY', `${file}: header, byte ${offset}: ${error.reason}`);
  }
}

function readMetadata(header: JsonObject, file: string): Record<string, string> {
  const metadata = Object.hasOwn(header, METADATA) ? header[METADATA] : {};
  if (!isObject(metadata)) {
    throw new InputError('SAFETENSORS_METADATA', `${file}: ${METADATA} is ${kindOf(metadata)}; allowed: an object`);
  }
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value === 'string') continue;
    throw new InputError(
      'SAFETENSORS_METADATA',
      `${file}: ${METADATA}: ${quoted(key)} is ${kindOf(value)}; allowed: strings`,
    );
  }
  return metadata as Record<string, string>;
}

/** The entries of all tensors, each checked by itself, in the order of their data. */
function readEntries(header: JsonObject, file: string): Entry[] {
  const names = Object.keys(header).filter((name) => name !== METADATA);
  if (names.length > MAX_TENSORS) {
    throw new InputError(
      'SAFETENSORS_TOO_MANY_TENSORS',
      `${file}: holds ${names.length} tensors; allowed: at most ${MAX_TENSORS}`,
    );
  }
  const entries = names.map((name) => readEntry(name, header[name], `${file}: tensor ${quoted(name)}`));
  return entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
}

function readEntry(name: string, value: JsonValue | undefined, at: string): Entry {
  const invalid = (reason: string) => new InputError('SAFETENSORS_ENTRY_INVALID', `${at}: ${reason}`);
  if (!isWellFormed(name)) throw invalid('its name holds half a surrogate pair');
  if (!isObject(value)) throw invalid(`is ${kindOf(value)}; allowed: an object with ${ENTRY_KEYS.join(', ')}`);
  for (const key of Object.keys(value)) {
    if (!ENTRY_KEYS.includes(key)) throw invalid(`has a key ${quoted(key)}; allowed: ${ENTRY_KEYS.join(', ')}`);
  }
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string') throw invalid(`dtype is ${kindOf(dtype)}; allowed: a string`);
  if (!isCounts(shape)) throw invalid('shape is not a list of whole numbers from 0 to 2^53 - 1');
  if (!isCounts(offsets) || offsets.length !== 2) {
    throw invalid('data_offsets is not a list of two whole numbers from 0 to 2^53 - 1');
  }
  const [begin, end] = offsets as [number, number];
  checkSize(dtype, shape, begin, end, at);
  return { name, dtype, shape, begin, end };
}

/** Checks that the span holds exactly the elements that shape and type ask for. */
function checkSize(dtype: string, shape: readonly number[], begin: number, end: number, at: string): void {
  const type = storedTypes.get(dtype);
  if (type === undefined) {
    const allowed = [...storedTypes.keys()].join(', ');
    throw new InputError('SAFETENSORS_DTYPE', `${at}: has dtype ${quoted(dtype)}; allowed: ${allowed}`);
  }
  if (shape.length > MAX_RANK) {
    throw new InputError('SAFETENSORS_SHAPE', `${at}: has ${shape.length} dimensions; allowed: at most ${MAX_RANK}`);
  }
  let size = type.size;
  for (const dim of shape) {
    size *= dim;
    if (!Number.isSafeInteger(size)) {
      throw new InputError('SAFETENSORS_SHAPE', `${at}: shape [${shape.join(', ')}] has more than 2^53 - 1 bytes`);
    }
  }
  if (end - begin !== size) {
    throw new InputError(
      'SAFETENSORS_SPAN',
      `${at}: ${dtype} of shape [${shape.join(', ')}] takes ${size} bytes, but its data_offsets are [${begin}, ${end}]`,
    );
  }
}

/** Checks that the spans follow one another without overlap or hole, from the data's start to the file's end. */
function checkSpans(entries: readonly Entry[], dataStart: number, fileBytes: number, file: string): void {
  let cursor = 0;
  for (const { name, begin, end } of entries) {
    const at = `${file}: tensor ${quoted(name)} begins at byte ${dataStart + begin}`;
    const expected = `the one before it ends at ${dataStart + cursor}`;
    if (begin < cursor) throw new InputError('SAFETENSORS_OVERLAP', `${at}, but ${expected}: they overlap`);
    if (begin > cursor) throw new InputError('SAFETENSORS_HOLE', `${at}, but ${expected}: there is a hole`);
    if (dataStart + end > fileBytes) {
      throw new InputError(
        'SAFETENSORS_TRUNCATED',
        `${file}: tensor ${quoted(name)} reaches to byte ${dataStart + end}, but the file ends at ${fileBytes}`,
      );
    }
    cursor = end;
  }
  const extra = fileBytes - dataStart - cursor;
  if (extra > 0) {
    throw new InputError(
      'SAFETENSORS_TRAILING_BYTES',
      `${file}: the data ends at byte ${dataStart + cursor} and ${extra} bytes follow; allowed: none`,
    );
  }
}

function decodeTensor(entry: Entry, bytes: Uint8Array, dataStart: number, file: string): HostTensor {
  const type = storedTypes.get(entry.dtype);
  if (type === undefined) throw new UsageError('SAFETENSORS_TENSOR', `unchecked dtype ${entry.dtype}`);
  if (type.dtype === 'bool') {
    const wrong = bytes.findIndex((value) => value > 1);
    if (wrong >= 0) {
      const at = `${file}: tensor ${quoted(entry.name)}, byte ${dataStart + entry.begin + wrong}`;
      throw new InputError('SAFETENSORS_VALUE', `${at}: a BOOL is ${bytes[wrong]}; allowed: 0 or 1`);
    }
  }
  return { dtype: type.dtype, shape: entry.shape, data: type.decode(bytes) };
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(value: JsonValue | undefined): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`.replace('a object', 'an object');
}
