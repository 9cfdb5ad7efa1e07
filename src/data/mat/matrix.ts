/** Numeric arrays in MAT-files, level 5. */
import { InputError } from '../../errors.js';
import { quoted } from '../../files/printable.js';
import { elementTypes, readElement, type Source, viewOf } from './element.js';

/** An array of numbers, column-major: the first dimension runs fastest. */
export interface MatArray {
  readonly name: string;
  readonly dims: readonly number[];
  /** Element type as stored, which may be narrower than that of the variable. */
  readonly stored: StoredType;
  /** The elements as stored. */
  readonly data: Uint8Array;
  readonly littleEndian: boolean;
}

export type StoredType = keyof typeof readers;

/** Reads element i as a number. */
const readers = {
  int8: { bytes: 1, read: (view: DataView, at: number) => view.getInt8(at) },
  uint8: { bytes: 1, read: (view: DataView, at: number) => view.getUint8(at) },
  int16: { bytes: 2, read: (view: DataView, at: number, le: boolean) => view.getInt16(at, le) },
  uint16: { bytes: 2, read: (view: DataView, at: number, le: boolean) => view.getUint16(at, le) },
  int32: { bytes: 4, read: (view: DataView, at: number, le: boolean) => view.getInt32(at, le) },
  uint32: { bytes: 4, read: (view: DataView, at: number, le: boolean) => view.getUint32(at, le) },
  single: { bytes: 4, read: (view: DataView, at: number, le: boolean) => view.getFloat32(at, le) },
  double: { bytes: 8, read: (view: DataView, at: number, le: boolean) => view.getFloat64(at, le) },
} as const;

/** Classes of arrays of numbers: double, single, and integers of 8 to 32 bits. */
const NUMERIC = { first: 6, last: 13 };
const COMPLEX = 0x0800;
const MAX_DIMS = 32;

/** The beginning of a matrix: what it is, and where its elements are. */
interface Header {
  readonly name: string;
  readonly dims: readonly number[];
  readonly flags: number;
  readonly next: number;
}

/**
 * Decodes the content of a matrix element.
 * @param wanted names of variables; of others nothing but the name is looked at
 * @returns null for a variable that is not wanted
 * @throws InputError `DATASET_TRUNCATED`, `DATASET_FORMAT`
 */
export function decodeMatrix(source: Source, wanted: readonly string[]): MatArray | null {
  const { name, dims, flags, next } = readHeader(source);
  if (!wanted.includes(name)) return null;
  const place = `${source.where} (${quoted(name, 60)})`;
  const kind = flags & 0xff;
  if (kind < NUMERIC.first || kind > NUMERIC.last || (flags & COMPLEX) !== 0) {
    const found = (flags & COMPLEX) !== 0 ? 'complex numbers' : `class ${kind}`;
    throw new InputError('DATASET_FORMAT', `${place}: found ${found}, allowed: an array of real numbers`);
  }
  const element = readElement(source, next);
  const stored = (Object.keys(readers) as StoredType[]).find((type) => elementTypes[type] === element.type);
  if (stored === undefined) {
    throw new InputError('DATASET_FORMAT', `${place}: its elements are of type ${element.type}; allowed: 1 to 7 and 9`);
  }
  const bytes = dims.reduce((product, dim) => product * BigInt(dim), BigInt(readers[stored].bytes));
  if (bytes !== BigInt(element.data.length)) {
    const claim = `${dims.join(' × ')} elements of type ${stored} take ${bytes} bytes`;
    throw new InputError('DATASET_FORMAT', `${place}: ${claim}, but ${element.data.length} are there`);
  }
  if (element.next !== source.bytes.length) {
    const extra = source.bytes.length - element.next;
    throw new InputError('DATASET_TRAILING_BYTES', `${place}: ${extra} bytes follow its elements; allowed: none`);
  }
  return { name, dims, stored, data: element.data, littleEndian: source.littleEndian };
}

function readHeader(source: Source): Header {
  const { littleEndian, where } = source;
  const flags = readElement(source, 0);
  const dims = readElement(source, flags.next);
  const name = readElement(source, dims.next);
  const isHeader =
    flags.type === elementTypes.uint32 &&
    flags.data.length === 8 &&
    dims.type === elementTypes.int32 &&
    dims.data.length % 4 === 0 &&
    dims.data.length >= 8 &&
    dims.data.length <= 4 * MAX_DIMS &&
    name.type === elementTypes.int8;
  if (!isHeader) throw new InputError('DATASET_FORMAT', `${where}: does not begin as a matrix does`);
  const view = viewOf(dims.data);
  const sizes = Array.from({ length: dims.data.length / 4 }, (_, i) => view.getInt32(4 * i, littleEndian));
  if (sizes.some((size) => size < 0)) {
    throw new InputError('DATASET_FORMAT', `${where}: its dimensions are ${sizes.join(' × ')}; allowed: none below 0`);
  }
  return {
    name: Buffer.from(name.data).toString('latin1'),
    dims: sizes,
    flags: viewOf(flags.data).getUint32(0, littleEndian),
    next: name.next,
  };
}

/** The elements of an array as numbers, in its order. */
export function numbersOf({ stored, data, littleEndian }: MatArray): number[] {
  const { bytes, read } = readers[stored];
  const view = viewOf(data);
  return Array.from({ length: data.length / bytes }, (_, i) => read(view, i * bytes, littleEndian));
}
