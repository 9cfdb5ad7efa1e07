/** The idx format of MNIST: 0, 0, element type, rank; dimensions as big-endian 32 bits; the elements. */
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';

/** A tensor of unsigned bytes. `elements` starts at byte `offset` of the (uncompressed) file. */
export interface IdxTensor {
  readonly shape: readonly number[];
  readonly elements: Uint8Array;
  readonly offset: number;
}

const UNSIGNED_BYTE = 8;

/**
 * Decodes an idx file of unsigned bytes. Byte offsets in errors count uncompressed bytes.
 * @param where the file's name, for errors
 * @throws InputError `DATASET_TRUNCATED`, `DATASET_FORMAT` (not idx, another type or rank), `DATASET_TRAILING_BYTES`
 */
export function decodeIdx(bytes: Uint8Array, rank: number, where: string): IdxTensor {
  const file = printable(where);
  const offset = 4 + 4 * rank;
  checkMagic(bytes, rank, file);
  if (bytes.length < offset) {
    throw new InputError(
      'DATASET_TRUNCATED',
      `${file}: ends at byte ${bytes.length}, within its ${offset}-byte header`,
    );
  }
  const header = new DataView(bytes.buffer, bytes.byteOffset, offset);
  const shape = Array.from({ length: rank }, (_, i) => header.getUint32(4 + 4 * i));
  checkLength(bytes.length, offset, shape, file);
  return { shape, elements: bytes.subarray(offset), offset };
}

function checkMagic(bytes: Uint8Array, rank: number, file: string): void {
  const expected = [0, 0, UNSIGNED_BYTE, rank];
  const found = [...bytes.subarray(0, 4)];
  if (found.length < 4) {
    throw new InputError('DATASET_TRUNCATED', `${file}: ends at byte ${found.length}, within the idx magic number`);
  }
  if (found.every((byte, i) => byte === expected[i])) return;
  throw new InputError(
    'DATASET_FORMAT',
    `${file}: starts with the bytes ${found.join(' ')}; an idx file of unsigned bytes in ${rank} dimensions starts with ` +
      expected.join(' '),
  );
}

function checkLength(fileBytes: number, offset: number, shape: readonly number[], file: string): void {
  const end = BigInt(offset) + shape.reduce((product, dim) => product * BigInt(dim), 1n);
  const claim = `${file}: ${shape.join(' × ')} elements end at byte ${end}`;
  if (end > fileBytes) throw new InputError('DATASET_TRUNCATED', `${claim}, but the file ends at ${fileBytes}`);
  if (end < fileBytes) {
    const extra = BigInt(fileBytes) - end;
    throw new InputError('DATASET_TRAILING_BYTES', `${claim} and ${extra} bytes follow; allowed: none`);
  }
}
