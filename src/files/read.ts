/** Reading whole files, with errors that name the file and the reason. */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { printable } from './printable.js';
import { isDirectoryError, readError } from './system-errors.js';
import { decodeUtf8 } from './utf8.js';

/** Largest file read unless the caller says otherwise: 4 GiB less one byte, what one buffer holds on Node 20. */
const DEFAULT_MAX_BYTES = 2 ** 32 - 1;

/** One read call moves at most this much; Linux itself stops at 2 GiB. */
const READ_PIECE = 2 ** 30;

/**
 * Reads a regular file whole.
 * @throws InputError `FILE_MISSING`, `FILE_IS_DIRECTORY`, `FILE_NOT_PERMITTED`, `FILE_NOT_REGULAR` (a pipe, a device),
 * `FILE_TOO_LARGE` (over `maxBytes`), `FILE_CHANGED` (shortened meanwhile) or `FILE_UNREADABLE`
 */
export async function readFileBytes(path: string, maxBytes = DEFAULT_MAX_BYTES): Promise<Uint8Array> {
  return withRegularFile(path, (handle, size) => readAll(handle, size, path, maxBytes));
}

/**
 * Opens a regular file, hands it to `use` with its size in bytes, and closes it.
 * @throws InputError as `readFileBytes`, and whatever `use` throws
 */
export async function withRegularFile<T>(
  path: string,
  use: (handle: FileHandle, size: number) => Promise<T>,
): Promise<T> {
  const { handle, size } = await openRegularFile(path);
  try {
    return await use(handle, size);
  } catch (error) {
    throw readError(path, error);
  } finally {
    await handle.close();
  }
}

/**
 * Opens a regular file for reading. Who calls closes it.
 * @throws InputError as `readFileBytes`
 */
export async function openRegularFile(path: string): Promise<{ handle: FileHandle; size: number }> {
  let handle: FileHandle | undefined;
  try {
    // Without O_NONBLOCK, opening a pipe that nobody writes to waits for ever.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stat = await handle.stat();
    if (stat.isDirectory()) throw isDirectoryError(path);
    if (!stat.isFile()) throw new InputError('FILE_NOT_REGULAR', `${printable(path)}: is not a regular file`);
    return { handle, size: stat.size };
  } catch (error) {
    await handle?.close();
    throw readError(path, error);
  }
}

/**
 * Reads a text file. A byte order mark at its start is dropped.
 * @throws InputError as `readFileBytes`, and `FILE_NOT_UTF8`
 */
export async function readFileText(path: string, maxBytes = 2 ** 28): Promise<string> {
  return decodeUtf8(await readFileBytes(path, maxBytes), path);
}

async function readAll(handle: FileHandle, size: number, path: string, maxBytes: number): Promise<Uint8Array> {
  const at = printable(path);
  if (size > maxBytes) {
    throw new InputError('FILE_TOO_LARGE', `${at}: has ${size} bytes; allowed: at most ${maxBytes}`);
  }
  const bytes = new Uint8Array(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await handle.read(bytes, filled, Math.min(READ_PIECE, size - filled), filled);
    if (bytesRead === 0) {
      throw new InputError('FILE_CHANGED', `${at}: ended at byte ${filled} of ${size} while it was read`);
    }
    filled += bytesRead;
  }
  return bytes;
}
