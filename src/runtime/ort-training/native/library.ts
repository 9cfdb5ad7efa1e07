/** A shared library of ONNX Runtime 1.19.2 with its training API, named by the user. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import koffi from 'koffi';
import type { LibraryHandle } from 'koffi';
import { InputError } from '../../../errors.js';
import { trainingRuntime } from '../../../lower/index.js';
import { bindTable, openLibrary } from '../../native/library.js';
import type { OrtFunctions, Pointer } from '../../native/functions.js';
import {
  BASE_FUNCTIONS,
  type BaseFunctions,
  TRAINING_API_VERSION,
  TRAINING_FUNCTIONS,
  type TrainingFunctions,
} from './functions.js';

export interface NativeTrainingApi {
  readonly path: string;
  readonly base: BaseFunctions;
  /** The same, for helpers of the native runtime, which need none of the functions that are younger. */
  readonly calls: OrtFunctions;
  readonly training: TrainingFunctions;
}

/** `GetTrainingApi` in `OrtApi`: it has no status, but gives a table. */
const GET_TRAINING_API = 219;

/** Libraries stay loaded: native threads would run into nothing. */
const held = new Map<string, { api: NativeTrainingApi; handle: LibraryHandle }>();

/**
 * @throws InputError `RUNTIME_LIBRARY_MISSING`, `RUNTIME_LIBRARY_BROKEN`, `RUNTIME_VERSION` for any version but 1.19.2, whose functions alone are known, or
 * `TRAINING_API_MISSING` where the library was built without training
 */
export function loadTrainingLibrary(file: string): NativeTrainingApi {
  const wanted = path.resolve(file);
  const known = held.get(wanted);
  if (known) return known.api;
  const at = `--ort-library ${wanted}`;
  if (!existsSync(wanted)) throw new InputError('RUNTIME_LIBRARY_MISSING', `${at}: no such file`);
  const { handle, version, getApi } = openLibrary(wanted);
  if (version !== trainingRuntime) {
    throw new InputError(
      'RUNTIME_VERSION',
      `${at}: found ONNX Runtime ${version}, allowed: exactly ${trainingRuntime}, whose training functions are known`,
    );
  }
  const table = getApi(TRAINING_API_VERSION);
  const training = table === null ? null : trainingTable(table);
  if (table === null || training === null) {
    throw new InputError(
      'TRAINING_API_MISSING',
      `${at}: ONNX Runtime ${version} without training, allowed: a build with --enable_training_apis`,
    );
  }
  const base = bindTable(table, BASE_FUNCTIONS);
  const api = {
    path: wanted,
    base,
    calls: base as unknown as OrtFunctions,
    training: bindTable(training, TRAINING_FUNCTIONS),
  };
  held.set(wanted, { api, handle });
  return api;
}

function trainingTable(table: Pointer): Pointer | null {
  const address = koffi.decode(table, GET_TRAINING_API * koffi.sizeof('void *'), 'void *') as Pointer;
  const get = koffi.decode(address, koffi.proto('void *', ['uint32_t'])) as (version: number) => Pointer | null;
  return get(TRAINING_API_VERSION);
}
