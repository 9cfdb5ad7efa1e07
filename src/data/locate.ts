/** Finding a data set's files in the folder that the user names. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';

/** What to look for, and what to say when it is not there. */
export interface Wanted {
  readonly dataset: string;
  /** Names under which the file may be found. */
  readonly names: readonly string[];
  /** Where to look under the root, `.` for the root itself. */
  readonly folders: readonly string[];
  /** What to do if nothing is found: an imperative sentence without its full stop. */
  readonly remedy: string;
}

/**
 * The first of the wanted files that exists.
 * @throws InputError `DATASET_MISSING`
 */
export async function locate(root: string, wanted: Wanted): Promise<string> {
  for (const folder of wanted.folders) {
    for (const name of wanted.names) {
      const path = join(root, folder, name);
      if (await isFile(path)) return path;
    }
  }
  throw await missing(root, wanted);
}

/** Whether there is a file (or a link to one). */
export async function isFile(path: string): Promise<boolean> {
  return (await kind(path)) === 'file';
}

async function missing(root: string, wanted: Wanted): Promise<InputError> {
  const at = `${wanted.dataset}: ${printable(root)}`;
  const found = await kind(root);
  if (found === 'nothing') return new InputError('DATASET_MISSING', `${at}: no such folder; ${wanted.remedy}`);
  if (found === 'file') {
    return new InputError('DATASET_MISSING', `${at}: is a file; a folder is needed; ${wanted.remedy}`);
  }
  const names = wanted.names.join(' or ');
  const elsewhere = wanted.folders.filter((folder) => folder !== '.');
  const there = elsewhere.length === 0 ? 'there' : `there or in ${elsewhere.join(' or ')}`;
  return new InputError('DATASET_MISSING', `${at}: no file ${names} ${there}; ${wanted.remedy}`);
}

async function kind(path: string): Promise<'file' | 'folder' | 'nothing'> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch {
    return 'nothing'; // absent or out of reach: either way it cannot be used
  }
}
