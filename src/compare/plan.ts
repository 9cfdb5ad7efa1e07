/** comparison-settings.json: what a comparison was begun with, so that it goes on under equal conditions only. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { InputError } from '../errors.js';
import { ensureDirectory, writeFileAtomic } from '../files/atomic.js';
import { decodeJson } from '../files/json.js';
import { printable } from '../files/printable.js';
import { readFileBytes } from '../files/read.js';
import { errnoCode, readError } from '../files/system-errors.js';
import { firstDifference } from '../train/index.js';
import type { SharedOptions } from './messages.js';

const SETTINGS = 'comparison-settings.json';
const FORMAT_VERSION = 1;
const MAX_BYTES = 2 ** 20;

const schema = z.object({ formatVersion: z.literal(FORMAT_VERSION), options: z.record(z.string(), z.unknown()) });

/**
 * Takes a folder for a comparison: a new one, an empty one, or one in which a comparison with the same options was begun. Recipes and seeds may be
 * added to it.
 * @throws InputError `OUTPUT_EXISTS` if it holds anything else, `COMPARE_OPTIONS` if the options are others, `COMPARE_SETTINGS` if they cannot be
 * understood; as `writeFileAtomic`
 */
export async function takeFolder(folder: string, options: SharedOptions): Promise<void> {
  const file = path.join(folder, SETTINGS);
  const names = await namesIn(folder);
  if (names.includes(SETTINGS)) return requireSameOptions(file, comparable(options));
  if (names.length > 0) {
    const allowed = 'allowed: a new or an empty folder, or that of a comparison to go on with';
    throw new InputError('OUTPUT_EXISTS', `${printable(folder)}: exists and is not empty; ${allowed}`);
  }
  await ensureDirectory(folder);
  await writeFileAtomic(
    file,
    `${JSON.stringify({ formatVersion: FORMAT_VERSION, options: comparable(options) }, null, 2)}\n`,
  );
}

async function requireSameOptions(file: string, now: object): Promise<void> {
  const found = schema.safeParse(decodeJson(await readFileBytes(file, MAX_BYTES), file));
  if (!found.success) {
    const issue = found.error.issues[0]!;
    throw new InputError(
      'COMPARE_SETTINGS',
      `${printable(file)}: ${printable(issue.path.join('.'))}: ${issue.message}`,
    );
  }
  const before = found.data.options;
  if (sorted(before) === sorted(now)) return;
  const { path: key, before: was, now: is } = firstDifference(before, now);
  throw new InputError(
    'COMPARE_OPTIONS',
    `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}: found ${printable(is, 60)}, but the comparison in ` +
      `${printable(path.dirname(file))} was begun with ${printable(was, 60)}; allowed: the same, or another folder`,
  );
}

/** What changes results. Data may lie elsewhere: runs know their training images by a checksum. */
function comparable({ data: _data, checkpointEvery: _every, ...rest }: SharedOptions): object {
  return JSON.parse(JSON.stringify(rest)) as object;
}

const sorted = (value: object): string => JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    if (errnoCode(error) === 'ENOTDIR') {
      throw new InputError('OUTPUT_NOT_WRITABLE', `${printable(folder)}: is a file; a folder is needed`, {
        cause: error,
      });
    }
    throw readError(folder, error);
  }
}
