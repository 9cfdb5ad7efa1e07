/** MAT-files of MATLAB, level 5 (as `save -v6` and `-v7` write them): a header of 128 bytes, then a matrix for each variable. */
import { InputError } from '../../errors.js';
import { inflateSized } from '../../files/inflate.js';
import { printable, quoted } from '../../files/printable.js';
import { elementTypes, readElement, type Element, type Source } from './element.js';
import { decodeMatrix, type MatArray } from './matrix.js';

const HEADER_BYTES = 128;
const VERSION = 0x0100;

/**
 * Takes the wanted variables from a file, compressed or not, of either byte order.
 * @param where the file's name, for errors
 * @param maxBytes largest decompressed variable that is allowed
 * @throws InputError `DATASET_FORMAT` (not such a file; a variable that is missing, twice there, or not of real numbers),
 * `DATASET_TRUNCATED`, `DATASET_TRAILING_BYTES`, or as `inflateSized`
 */
export async function decodeMat<Name extends string>(
  bytes: Uint8Array,
  where: string,
  wanted: readonly Name[],
  maxBytes: number,
): Promise<Record<Name, MatArray>> {
  const file = printable(where);
  const source = { bytes, littleEndian: readByteOrder(bytes, file), where: file };
  const found = new Map<string, MatArray>();
  for (let at = HEADER_BYTES; at < bytes.length;) {
    const element = readElement(source, at);
    const array = decodeMatrix(await matrixOf(source, element, maxBytes), wanted);
    if (array !== null && found.has(array.name)) {
      throw new InputError('DATASET_FORMAT', `${file}: has the variable ${quoted(array.name, 60)} twice`);
    }
    if (array !== null) found.set(array.name, array);
    at = element.next;
  }
  const missing = wanted.find((name) => !found.has(name));
  if (missing !== undefined) throw new InputError('DATASET_FORMAT', `${file}: has no variable ${quoted(missing)}`);
  return Object.fromEntries(found) as Record<Name, MatArray>;
}

/** @returns whether the file is little-endian @throws InputError where it is no MAT-file of level 5 */
function readByteOrder(bytes: Uint8Array, file: string): boolean {
  if (bytes.length < HEADER_BYTES) {
    const found = `ends at byte ${bytes.length}, within the ${HEADER_BYTES}-byte header of a MAT-file`;
    throw new InputError('DATASET_TRUNCATED', `${file}: ${found}`);
  }
  if (Buffer.from(bytes.subarray(0, 10)).toString('latin1') === 'MATLAB 7.3') {
    throw new InputError('DATASET_FORMAT', `${file}: is a MAT-file of version 7.3 (HDF5); save it with -v7`);
  }
  const [major, minor, first, second] = bytes.subarray(124, 128) as unknown as [number, number, number, number];
  const order = String.fromCharCode(first, second);
  const version = order === 'IM' ? minor * 256 + major : major * 256 + minor;
  if ((order === 'IM' || order === 'MI') && version === VERSION) return order === 'IM';
  const found = [major, minor, first, second].join(' ');
  throw new InputError(
    'DATASET_FORMAT',
    `${file}: bytes 124 to 127 are ${found}; a MAT-file of level 5 has 0 1 73 77 there (or 1 0 77 73)`,
  );
}

/** The content of a matrix, decompressed. */
async function matrixOf(source: Source, element: Element, maxBytes: number): Promise<Source> {
  const where = `${source.where}: the variable at byte ${element.start}`;
  if (element.type !== elementTypes.compressed) return content(source, element, where);
  const bytes = await inflateSized({ bytes: element.data, where }, 8, (head) => {
    const size = 8 + new DataView(head.buffer, head.byteOffset).getUint32(4, source.littleEndian);
    if (size <= maxBytes) return size;
    throw new InputError('DATASET_TOO_LARGE', `${where}: decompresses to ${size} bytes; allowed: at most ${maxBytes}`);
  });
  const inner = { ...source, bytes };
  return content(inner, readElement(inner, 0), where);
}

function content(source: Source, { type, data }: Element, where: string): Source {
  if (type === elementTypes.matrix) return { ...source, bytes: data, where };
  throw new InputError('DATASET_FORMAT', `${where}: is an element of type ${type}; allowed: 14 (matrix)`);
}
