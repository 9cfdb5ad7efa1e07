/**
 * The artifact folder: `manifest.json`, `modules/<ii>/<phase>.onnx`, `step.onnx`, `eval.onnx`, `weights.safetensors`. It is written
 * complete or not at all, and read only if every file has the checksum that the manifest gives.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InputError } from '../errors.js';
import { writeDirectoryAtomic } from '../files/atomic.js';
import { decodeJson } from '../files/json.js';
import { readFileBytes } from '../files/read.js';
import { decodeSafetensors, encodeSafetensors } from '../files/safetensors.js';
import { sha256 } from '../files/sha256.js';
import type { NamedTensors } from '../files/tensor.js';
import { decodeModel } from '../onnx/decode.js';
import { encodeModel } from '../onnx/encode.js';
import type { OnnxModel } from '../onnx/model.js';
import type { GraphSet } from './graphs.js';
import type { Manifest } from './manifest.js';
import { parseManifest } from './manifest-schema.js';

/** What `manifest.json` holds: the manifest and the SHA-256 of every other file, in hexadecimal. */
export interface SealedManifest extends Manifest {
  readonly files: Readonly<Record<string, string>>;
}

const manifestFile = 'manifest.json';
const weightsFile = 'weights.safetensors';

/**
 * Writes the folder. A folder that is there already is replaced only if it is an artifact folder.
 *
 * @param more further files, by their paths in the folder
 * @throws InputError where the folder cannot be written or holds something else
 */
export async function writeArtifacts(
  folder: string,
  graphs: GraphSet,
  weights: NamedTensors,
  more: ReadonlyMap<string, Uint8Array> = new Map(),
): Promise<SealedManifest> {
  const contents = new Map<string, Uint8Array>(more);
  for (const [file, model] of graphs.models) contents.set(file, encodeModel(model));
  contents.set(weightsFile, encodeSafetensors(weights));
  const files = Object.fromEntries([...contents].map(([file, bytes]) => [file, sha256(bytes)]));
  const manifest: SealedManifest = { ...graphs.manifest, files };
  const replace = await isArtifactFolder(folder);
  await writeDirectoryAtomic(
    folder,
    async (temporary) => {
      for (const [file, bytes] of contents) {
        await mkdir(dirname(join(temporary, file)), { recursive: true });
        await writeFile(join(temporary, file), bytes);
      }
      await writeFile(join(temporary, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`);
    },
    { replace },
  );
  return manifest;
}

/** Whether a folder has a manifest of ours, of whatever version. */
export async function isArtifactFolder(folder: string): Promise<boolean> {
  try {
    const value = decodeJson(await readFileBytes(join(folder, manifestFile)), manifestFile);
    return typeof value === 'object' && value !== null && 'formatVersion' in value;
  } catch {
    return false;
  }
}

/** @throws InputError where the manifest is missing, malformed or of another format version */
export async function readManifest(folder: string): Promise<SealedManifest> {
  const path = join(folder, manifestFile);
  return parseManifest(decodeJson(await readFileBytes(path), path), path);
}

/** @throws InputError as `readManifest`, and where a file is missing, altered or malformed */
export async function readArtifacts(folder: string): Promise<GraphSet & { readonly weights: NamedTensors }> {
  const manifest = await readManifest(folder);
  const contents = new Map<string, Uint8Array>();
  for (const [file, expected] of Object.entries(manifest.files)) {
    const bytes = await readFileBytes(join(folder, file));
    const found = sha256(bytes);
    if (found !== expected) {
      throw new InputError(
        'ARTIFACT_CHECKSUM',
        `${join(folder, file)}: SHA-256 is ${found}, the manifest says ${expected}: the file was altered or damaged`,
      );
    }
    contents.set(file, bytes);
  }
  const models = new Map<string, OnnxModel>();
  for (const { file } of manifest.graphs) models.set(file, decodeModel(present(contents, file, folder), file));
  const weights = decodeSafetensors(present(contents, weightsFile, folder), weightsFile).tensors;
  return { manifest, models, weights };
}

function present(contents: ReadonlyMap<string, Uint8Array>, file: string, folder: string): Uint8Array {
  const bytes = contents.get(file);
  if (!bytes) {
    throw new InputError('ARTIFACT_FILE_MISSING', `${join(folder, manifestFile)}: files lacks '${file}'`);
  }
  return bytes;
}
