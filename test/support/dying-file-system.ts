/**
 * A file system that dies: from the n-th change on, no change takes place, as if the process had been killed there. A write in
 * progress at that moment leaves half of its data.
 */
import type * as fs from 'node:fs/promises';

type FileSystem = typeof fs;

class Killed extends Error {
  override readonly name = 'Killed';
}

let changesLeft = Infinity;
let changes = 0;

/** From now on counts changes, and dies at the n-th (1-based). */
export function dieAtChange(n: number): void {
  changes = 0;
  changesLeft = n;
}

/** Lives again. @returns how many changes were asked for since `dieAtChange` */
export function revive(): number {
  changesLeft = Infinity;
  return changes;
}

/** Counts one change. @returns whether it is the one at which the process dies */
function isLast(): boolean {
  changes++;
  if (--changesLeft > 0) return false;
  if (changesLeft < 0) throw new Killed('dead');
  return true;
}

async function change<T>(work: () => Promise<T>): Promise<T> {
  if (isLast()) throw new Killed('killed');
  return work();
}

/** `node:fs/promises` with the changes of all functions that hpff uses counted. */
export function dyingFileSystem(real: FileSystem): FileSystem {
  const counted = <K extends 'rename' | 'rm' | 'mkdir' | 'truncate'>(name: K) =>
    ((...args: unknown[]) =>
      change(() => (real[name] as (...args: unknown[]) => Promise<unknown>)(...args))) as FileSystem[K];
  const open: FileSystem['open'] = async (path, flags, mode) => {
    if (typeof flags === 'string' && /[wa]/.test(flags)) {
      return dyingHandle(await change(() => real.open(path, flags, mode)));
    }
    return real.open(path, flags, mode);
  };
  return {
    ...real,
    open,
    rename: counted('rename'),
    rm: counted('rm'),
    mkdir: counted('mkdir'),
    truncate: counted('truncate'),
  };
}

function dyingHandle(handle: fs.FileHandle): fs.FileHandle {
  const writeFile = handle.writeFile.bind(handle);
  handle.writeFile = async (data) => {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (!isLast()) return writeFile(bytes);
    await writeFile(bytes.subarray(0, bytes.length >> 1));
    throw new Killed('killed');
  };
  return handle;
}
