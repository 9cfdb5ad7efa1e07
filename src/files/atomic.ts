/**
 * Output that is complete or absent: files and folders are written beside their place, synced to the disk, and renamed.
 * Whatever goes wrong, what was there before stays as it was and nothing half-written is left.
 */
import { randomBytes } from 'node:crypto';
import { access, constants, mkdir, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { InputError } from '../errors.js';
import { printable } from './printable.js';
import { errnoCode, writeError } from './system-errors.js';

/** What `writeFileAtomic` can write: bytes, text (as UTF-8), or pieces that follow one another. */
export type FileContent = Uint8Array | string | readonly Uint8Array[];

const temporaryName = /^\.hpff-[0-9a-f]{16}\.tmp$/;

/** Whether a name is of what a killed writer can leave. */
export const isLeftover = (name: string): boolean => temporaryName.test(name);

/**
 * Writes a file so that it is always either the old or the new one, also if the process or the machine dies. A symbolic
 * link is followed; permissions of a file that is replaced are kept. The folder must exist.
 * @throws InputError `OUTPUT_NOT_WRITABLE` (no permission, no such folder, a folder or device in its place …) or
 * `DISK_FULL`; RunError `WRITE_FAILED` if the machine fails
 */
export async function writeFileAtomic(path: string, content: FileContent): Promise<void> {
  try {
    if (path.endsWith('/')) throw outputIsFolder(path);
    const target = await followLinks(path);
    const old = await existing(target);
    if (old !== null) await requireReplaceable(path, target, old);
    await writeBeside(target, async (temporary) => {
      await writeSynced(temporary, content, old);
      await rename(temporary, target);
    });
    await syncFolder(dirname(target));
  } catch (error) {
    throw writeError(path, error);
  }
}

/**
 * Makes a folder that is complete or absent: `fill` writes into a temporary folder beside `target`, then every file is
 * synced and the folder renamed. An empty folder at `target` is taken over. The parent folder must exist.
 * @param options.replace whether a folder at `target` may be replaced. It is moved aside, and back if the new one cannot
 * take its place; between the two renames there is none for an instant, which only a single file can avoid.
 * @throws InputError `OUTPUT_EXISTS`, or as `writeFileAtomic`; whatever `fill` throws
 */
export async function writeDirectoryAtomic(
  target: string,
  fill: (temporary: string) => Promise<void>,
  options: { readonly replace?: boolean } = {},
): Promise<void> {
  try {
    const replace = options.replace ?? false;
    await requireFree(target, replace);
    await writeBeside(target, async (temporary) => {
      await mkdir(temporary);
      await fill(temporary);
      await syncTree(temporary);
      await moveInto(temporary, target, replace);
    });
    await syncFolder(dirname(target));
  } catch (error) {
    throw writeError(target, error);
  }
}

/**
 * Makes a folder and its missing parents; one that exists is left alone.
 * @throws as `writeFileAtomic`
 */
export async function ensureDirectory(path: string): Promise<void> {
  try {
    await makeFolders(path);
  } catch (error) {
    throw writeError(path, error);
  }
}

/** Node says ENOENT of whatever keeps it from making parents too, a read-only file system among them; made by itself, the folder says why. */
async function makeFolders(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
    const first = (error as NodeJS.ErrnoException).path;
    if (first === undefined) throw error;
    await mkdir(first);
    await mkdir(path, { recursive: true });
  }
}

/**
 * Removes a file or a folder with all that is in it (links are removed, not followed). What is absent is no error.
 * @throws as `writeFileAtomic`
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    throw writeError(path, error);
  }
}

/**
 * As `removeTree`, but a folder is whole until it is gone: it is moved aside first, so that a kill cannot leave part of it.
 * What is then left aside, `removeLeftovers` takes.
 * @throws as `writeFileAtomic`
 */
export async function removeTreeAtomic(path: string): Promise<void> {
  try {
    const aside = besideName(path, 'tmp');
    await rename(path, aside);
    await rm(aside, { recursive: true, force: true });
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw writeError(path, error);
  }
}

/**
 * Removes what writers that were killed left unfinished in `folder`. The caller must be the folder's only writer.
 * @throws as `writeFileAtomic`
 */
export async function removeLeftovers(folder: string): Promise<void> {
  try {
    for (const name of await readdir(folder)) {
      if (isLeftover(name)) await rm(join(folder, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw writeError(folder, error);
  }
}

/** Runs `write` with a new name in the folder of `target`; if it fails, removes what has that name. */
async function writeBeside(target: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = besideName(target, 'tmp');
  try {
    await write(temporary);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined); // the first error is the one to tell
    throw error;
  }
}

/** Writes a new file and waits until it is on the disk. It gets the permissions of the file that it will replace. */
async function writeSynced(path: string, content: FileContent, replaced: Stats | null): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    if (replaced !== null) await handle.chmod(replaced.mode & 0o777);
    const pieces = typeof content === 'string' || content instanceof Uint8Array ? [content] : content;
    for (const piece of pieces) await handle.writeFile(piece);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await syncFile(path);
  }
  await syncFolder(folder);
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes renames within a folder last. Some file systems cannot sync folders, and need not. */
async function syncFolder(folder: string): Promise<void> {
  try {
    await syncFile(folder);
  } catch (error) {
    const code = errnoCode(error);
    if (code !== 'EINVAL' && code !== 'ENOTSUP' && code !== 'EISDIR' && code !== 'EPERM' && code !== 'EACCES')
      throw error;
  }
}

/** Moves a finished folder to its place; an old one goes aside first and comes back if that fails. */
async function moveInto(temporary: string, target: string, replace: boolean): Promise<void> {
  if (!replace || (await existing(target)) === null) return rename(temporary, target);
  const aside = besideName(target, 'old'); // not a name that removeLeftovers takes: until the end it is the only copy
  await rename(target, aside);
  try {
    await rename(temporary, target);
  } catch (error) {
    await rename(aside, target);
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

function besideName(target: string, ending: 'tmp' | 'old'): string {
  return join(dirname(target), `.hpff-${randomBytes(8).toString('hex')}.${ending}`);
}

async function requireFree(target: string, replace: boolean): Promise<void> {
  const old = await existing(target);
  if (old === null) return;
  const at = printable(target);
  if (!old.isDirectory()) throw new InputError('OUTPUT_NOT_WRITABLE', `${at}: is a file; a folder is to be written`);
  if (!replace && (await readdir(target)).length > 0) {
    throw new InputError('OUTPUT_EXISTS', `${at}: exists and is not empty; allowed: a new or an empty folder`);
  }
}

/** Refuses to replace folders, devices and files that are write-protected (a rename would not even ask). */
async function requireReplaceable(path: string, target: string, old: Stats): Promise<void> {
  if (old.isDirectory()) throw outputIsFolder(path);
  if (!old.isFile()) throw new InputError('OUTPUT_NOT_WRITABLE', `${printable(path)}: is not a regular file`);
  await access(target, constants.W_OK);
}

function outputIsFolder(path: string): InputError {
  return new InputError('OUTPUT_NOT_WRITABLE', `${printable(path)}: is a folder; a file is to be written`);
}

async function followLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
    return path;
  }
}

async function existing(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return null;
    throw error;
  }
}
