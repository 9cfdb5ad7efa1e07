/** Listing folders of images. */
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import PQueue from 'p-queue';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { readError } from '../files/system-errors.js';
import { IMAGE_NAME } from './image-type.js';

export interface ListedFile {
  /** From the listed folder on, with `/` between names. */
  readonly path: string;
  readonly bytes: number;
}

/** Questions to the file system at once. */
const AT_ONCE = 16;
/** Folders within folders; more is a circle of links. */
const MAX_DEPTH = 32;

/**
 * Names of the folders in a folder (links to folders too) that do not begin with a dot; null where there is no such folder.
 * @throws InputError where it is out of reach
 */
export async function folderNames(folder: string): Promise<string[] | null> {
  const entries = await entriesOf(folder).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return null;
    throw readError(folder, error);
  });
  if (entries === null) return null;
  const names = await Promise.all(
    entries.map(async (entry) => ((await kindOf(folder, entry)) === 'folder' ? entry.name : null)),
  );
  return names.filter((name) => name !== null);
}

/**
 * All images in a folder and those within it, sorted by path.
 * @throws InputError `IMAGE_NAME` (a file whose name is not that of an image), `DATASET_FORMAT` (folders too deep), or where something is out of reach
 */
export async function listImages(folder: string): Promise<ListedFile[]> {
  const queue = new PQueue({ concurrency: AT_ONCE });
  const files: ListedFile[] = [];
  const walk = async (below: string, depth: number): Promise<void> => {
    const at = join(folder, below);
    if (depth > MAX_DEPTH) {
      throw new InputError('DATASET_FORMAT', `${printable(at)}: lies ${depth} folders deep; allowed: ${MAX_DEPTH}`);
    }
    const entries = await entriesOf(at).catch((error: unknown) => {
      throw readError(at, error);
    });
    const folders: string[] = [];
    await Promise.all(
      entries.map((entry) =>
        queue.add(async () => {
          const path = below === '' ? entry.name : `${below}/${entry.name}`;
          const kind = await kindOf(at, entry);
          if (kind === 'folder') folders.push(path);
          else files.push({ path, bytes: kind });
        }),
      ),
    );
    for (const path of folders.sort()) await walk(path, depth + 1);
  };
  await walk('', 0);
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  const other = files.find(({ path }) => !IMAGE_NAME.test(path));
  if (other === undefined) return files;
  const where = printable(join(folder, other.path));
  throw new InputError('IMAGE_NAME', `${where}: is not named as an image; allowed: .jpg, .jpeg, .png and .webp`);
}

/** All but names that begin with a dot. */
async function entriesOf(folder: string): Promise<Dirent[]> {
  return (await readdir(folder, { withFileTypes: true })).filter(({ name }) => !name.startsWith('.'));
}

/** A folder, or the size of a file; links are followed. @throws InputError a broken link, or what is neither */
async function kindOf(folder: string, entry: Dirent): Promise<'folder' | number> {
  if (entry.isDirectory()) return 'folder';
  const path = join(folder, entry.name);
  const found = await stat(path).catch((error: unknown) => {
    throw readError(path, error);
  });
  if (found.isDirectory()) return 'folder';
  if (found.isFile()) return found.size;
  throw new InputError('FILE_NOT_REGULAR', `${printable(path)}: is not a regular file`);
}
