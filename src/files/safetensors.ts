/**
 * Reading and writing safetensors files: 8 bytes of header length, a JSON header that gives each tensor's dtype, shape and
 * span, then the data (https://huggingface.co/docs/safetensors).
 */
import { writeFileAtomic } from './atomic.js';
import { readFileBytes } from './read.js';
import { decodeSafetensors, type Safetensors } from './safetensors/decode.js';
import { encodePieces } from './safetensors/encode.js';
import type { NamedTensors } from './tensor.js';

export { decodeSafetensors, type Safetensors } from './safetensors/decode.js';
export { encodeSafetensors } from './safetensors/encode.js';

/**
 * Reads a safetensors file. Errors as `readFileBytes` and `decodeSafetensors`.
 * @throws InputError
 */
export async function readSafetensors(path: string): Promise<Safetensors> {
  return decodeSafetensors(await readFileBytes(path), path);
}

/**
 * Writes a safetensors file atomically.
 * @throws InputError, RunError as `writeFileAtomic`; UsageError as `encodeSafetensors`
 */
export async function writeSafetensors(
  path: string,
  tensors: NamedTensors,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeFileAtomic(path, encodePieces(tensors, metadata));
}
