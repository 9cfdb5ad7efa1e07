/** Reading idx files. */
import { gunzipBounded, isGzip } from '../files/gunzip.js';
import { readFileBytes } from '../files/read.js';
import type { IdxContent } from './idx-dataset.js';

/** Largest file that is read, compressed or not: nearly three times MNIST. */
const MAX_BYTES = 2 ** 27;

/**
 * The content of a file, gzipped or not.
 * @throws InputError as `readFileBytes` and `gunzipBounded`
 */
export async function readIdx(where: string): Promise<IdxContent> {
  const bytes = await readFileBytes(where, MAX_BYTES);
  return { where, bytes: isGzip(bytes) ? await gunzipBounded(bytes, MAX_BYTES, where) : bytes };
}
