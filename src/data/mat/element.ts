/** Data elements of MAT-files, level 5: a tag with type and length, then the data, padded to 8 bytes. */
import { InputError } from '../../errors.js';

/** Types of elements that are looked into; numbers as in the format. */
export const elementTypes = {
  int8: 1,
  uint8: 2,
  int16: 3,
  uint16: 4,
  int32: 5,
  uint32: 6,
  single: 7,
  double: 9,
  matrix: 14,
  compressed: 15,
} as const;

/** Bytes that hold elements, and how to speak of them in errors. */
export interface Source {
  readonly bytes: Uint8Array;
  readonly littleEndian: boolean;
  /** `file` or `file: the variable at byte 128`. */
  readonly where: string;
}

export interface Element {
  readonly type: number;
  readonly data: Uint8Array;
  /** Where its tag begins. */
  readonly start: number;
  /** Where the next one begins; at most the end of the source. */
  readonly next: number;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Reads the element that begins at byte `start`.
 * @throws InputError `DATASET_TRUNCATED` where it does not fit
 */
export function readElement(source: Source, start: number): Element {
  const { bytes, littleEndian, where } = source;
  if (start + 8 > bytes.length) {
    throw new InputError(
      'DATASET_TRUNCATED',
      `${where}: ends at byte ${bytes.length}, within the tag at byte ${start}`,
    );
  }
  const view = viewOf(bytes);
  const first = view.getUint32(start, littleEndian);
  const small = first >>> 16 !== 0; // a length of at most 4 bytes, which share the tag's 8
  const type = small ? first & 0xffff : first;
  const length = small ? first >>> 16 : view.getUint32(start + 4, littleEndian);
  const begin = small ? start + 4 : start + 8;
  const end = begin + length;
  if (small ? length > 4 : end > bytes.length) {
    throw new InputError(
      'DATASET_TRUNCATED',
      `${where}: the element at byte ${start} has ${length} bytes, but only ${small ? 4 : bytes.length - begin} are there`,
    );
  }
  // Compressed elements are not padded.
  const padded = small ? start + 8 : type === elementTypes.compressed ? end : Math.ceil(end / 8) * 8;
  return { type, data: bytes.subarray(begin, end), start, next: Math.min(padded, bytes.length) };
}
