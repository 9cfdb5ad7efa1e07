/** What lies in a folder. */
import { readdir } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { printable } from './printable.js';
import { errnoCode, readError } from './system-errors.js';

const notAFolder = (path: string, cause: unknown): InputError =>
  new InputError('OUTPUT_NOT_WRITABLE', `${printable(path)}: is a file; a folder is needed`, { cause });

/**
 * Names in a folder; null where there is none.
 * @param refusal of a file
 * @throws InputError `refusal`, or as `readError`
 */
export async function listFolder(folder: string, refusal = notAFolder): Promise<string[] | null> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return null;
    throw errnoCode(error) === 'ENOTDIR' ? refusal(folder, error) : readError(folder, error);
  }
}
