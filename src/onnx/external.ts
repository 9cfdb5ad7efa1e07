/**
 * Tensor data that a model keeps in files beside it. A model may come from anywhere, so it may only name plain files inside its
 * own folder: no absolute path, no '..', no link of either kind that could lead out of the folder.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import type { ExternalReference, ReadExternal } from './decode-tensor.js';
import { quote } from './quote.js';

/** Larger buffers do not exist in Node 20. */
const MAX_LENGTH = 2 ** 32 - 1;

/**
 * Reads external data of a model in a folder. Only what a tensor needs is read; a checksum that the model may give is not
 * verified.
 * @throws InputError (when it reads) ONNX_EXTERNAL_DATA for a place that is not allowed, is not there, or holds less than declared
 */
export function externalReader(folder: string): ReadExternal {
  return (reference) => {
    const fail = (reason: string, cause?: unknown): never => {
      throw new InputError(
        'ONNX_EXTERNAL_DATA',
        `external data of tensor ${quote(reference.tensor)} in ${quote(reference.location)}: ${reason}`,
        { cause },
      );
    };
    if (reference.length > MAX_LENGTH)
      fail(`${reference.length} bytes are more than the ${MAX_LENGTH} that can be read`);
    return readPart(folder, reference, fail);
  };
}

type Fail = (reason: string, cause?: unknown) => never;

function readPart(folder: string, reference: ExternalReference, fail: Fail): Uint8Array {
  const path = resolve(folder, components(reference.location, fail), fail);
  const expected = lookAt(path, fail);
  if (!expected.isFile()) fail('it is not a plain file');
  const file = open(path, fail);
  try {
    const found = fstatSync(file);
    if (found.ino !== expected.ino || found.dev !== expected.dev) fail('it was replaced while it was opened');
    if (found.nlink > 1) fail(`the file has ${found.nlink} hard links, so it may belong to another folder; copy it`);
    const end = reference.offset + reference.length;
    if (end > found.size) fail(`bytes ${reference.offset} to ${end} are declared, the file has ${found.size}`);
    return readFully(file, reference, fail);
  } finally {
    closeSync(file);
  }
}

/** The names in a location. Both kinds of slashes count, so that a model means the same on all systems. */
function components(location: string, fail: Fail): string[] {
  if (location.includes('\0')) fail('the location holds a NUL character');
  if (/^[/\\]|^[a-z]:/i.test(location)) fail('an absolute path, must be relative to the folder of the model');
  if (location.includes('\\')) fail("the location holds a backslash; folders are separated by '/'");
  const names = location.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) fail("'..' leads out of the folder of the model");
  return names.length > 0 ? names : fail('the location names no file');
}

/** The path of a file; each folder on the way must be a folder and not a link to one. */
function resolve(folder: string, names: readonly string[], fail: Fail): string {
  let path = folder;
  for (const [index, name] of names.entries()) {
    path = join(path, name);
    if (index < names.length - 1 && !lookAt(path, fail).isDirectory()) fail(`${quote(name)} is not a folder`);
  }
  return path;
}

/** What a path is, if it is not a symbolic link. */
function lookAt(path: string, fail: Fail): Stats {
  const found = attempt(() => lstatSync(path, { throwIfNoEntry: false }), fail);
  if (found === undefined) return fail(`${printable(path)} does not exist`);
  return found.isSymbolicLink() ? fail(`${printable(path)} is a symbolic link, must be the file itself`) : found;
}

function open(path: string, fail: Fail): number {
  // O_NOFOLLOW and O_NONBLOCK do not exist on Windows.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  return attempt(() => openSync(path, flags), fail);
}

function attempt<T>(call: () => T, fail: Fail): T {
  try {
    return call();
  } catch (cause) {
    return fail(`cannot be read: ${(cause as NodeJS.ErrnoException).code ?? 'not a path'}`, cause);
  }
}

function readFully(file: number, { offset, length }: ExternalReference, fail: Fail): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const count = readSync(file, bytes, done, Math.min(length - done, 2 ** 30), offset + done);
    if (count === 0) fail(`the file ended at byte ${offset + done} while it was read`);
    done += count;
  }
  return bytes;
}
