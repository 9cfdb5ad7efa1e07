/** Reading a model from disk, with the data it keeps in files beside it. */
import { dirname } from 'node:path';
import { readFileBytes } from '../files/read.js';
import { decodeModel } from './decode.js';
import { externalReader } from './external.js';
import type { OnnxModel } from './model.js';

/** The most that the format allows. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * Reads an `.onnx` file.
 * @throws InputError as readFileBytes, decodeModel and externalReader
 */
export async function readModel(path: string): Promise<OnnxModel> {
  const bytes = await readFileBytes(path, MAX_BYTES);
  return decodeModel(bytes, path, { readExternal: externalReader(dirname(path)) });
}
