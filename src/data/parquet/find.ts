/** Finding the parquet files of a split, as the Hugging Face hub lays them out. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../../errors.js';
import { printable } from '../../files/printable.js';

/** Names of each split's files; the first that has labels counts. */
export const splitNames = { train: ['train'], test: ['test', 'validation', 'val', 'valid'] } as const;

/**
 * The files `NAME-*.parquet` or `NAME.parquet` in `root` or its folder `data`, or `*.parquet` in a folder `NAME`, sorted; none if there
 * are none.
 * @throws InputError `DATASET_MISSING` where `…-00001-of-00003.parquet` lacks one of the three
 */
export async function findFiles(root: string, name: string): Promise<string[]> {
  const own = (file: string): boolean => file === `${name}.parquet` || file.startsWith(`${name}-`);
  for (const [folder, belongs] of [
    [root, own],
    [join(root, 'data'), own],
    [join(root, name), () => true],
  ] as const) {
    const files = (await namesIn(folder)).filter((file) => file.endsWith('.parquet') && belongs(file)).sort();
    if (files.length === 0) continue;
    checkShards(folder, files);
    return files.map((file) => join(folder, file));
  }
  return [];
}

function checkShards(folder: string, files: readonly string[]): void {
  const numbers = files.map((file) => /-(\d{5})-of-(\d{5})(?:-[0-9a-f]+)?\.parquet$/.exec(file));
  const count = Number(numbers[0]?.[2] ?? 0);
  if (count === 0) return;
  for (let i = 0; i < count; i++) {
    if (numbers.some((match) => Number(match?.[1]) === i && Number(match?.[2]) === count)) continue;
    const missing = `${files[0]?.replace(/-\d{5}-of-.*$/, '')}-${String(i).padStart(5, '0')}-of-${numbers[0]?.[2]}`;
    throw new InputError(
      'DATASET_MISSING',
      `parquet: ${printable(folder)}: no file ${printable(missing)}*.parquet there`,
    );
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch {
    return []; // absent or out of reach: either way it cannot be used
  }
}
