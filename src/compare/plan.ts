/**
 * The folder of a comparison: one process at a time works in it, and comparison-settings.json says what it was begun with, so that it goes on under equal
 * conditions only.
 */
import path from 'node:path';
import { z } from 'zod';
import { InputError } from '../errors.js';
import { ensureDirectory, isLeftover, removeLeftovers, writeFileAtomic } from '../files/atomic.js';
import { decodeJson } from '../files/json.js';
import { listFolder } from '../files/list-folder.js';
import { printable } from '../files/printable.js';
import { ProcessLock } from '../files/process-lock.js';
import { readFileBytes } from '../files/read.js';
import { firstDifference } from '../train/index.js';
import { LOCK, SETTINGS } from './files.js';
import type { SharedOptions } from './messages.js';

const FORMAT_VERSION = 1;
const MAX_BYTES = 2 ** 20;

const schema = z.object({ formatVersion: z.literal(FORMAT_VERSION), options: z.record(z.string(), z.unknown()) });

/**
 * Takes a folder for a comparison: a new one, an empty one, or one in which a comparison with the same options was begun. Recipes and seeds may be
 * added to it.
 * @returns the lock of the folder, to be disposed when the comparison ends
 * @throws InputError `OUTPUT_EXISTS` if it holds anything else, `COMPARE_OPTIONS` if the options are others, `COMPARE_SETTINGS` if they cannot be
 * understood, `LOCKED` where another process has it; as `writeFileAtomic`
 */
export async function takeFolder(folder: string, options: SharedOptions): Promise<ProcessLock> {
  await isBegun(folder); // nothing is written into a folder of others
  await ensureDirectory(folder);
  const lock = await ProcessLock.take(path.join(folder, LOCK), folder);
  try {
    const file = path.join(folder, SETTINGS);
    const now = comparable(options);
    await removeLeftovers(folder);
    if (await isBegun(folder)) await requireSameOptions(file, now);
    else await writeFileAtomic(file, `${JSON.stringify({ formatVersion: FORMAT_VERSION, options: now }, null, 2)}\n`);
    return lock;
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

/** Whether the folder is that of a comparison; not where it is new or empty. @throws InputError `OUTPUT_EXISTS` if it is neither */
async function isBegun(folder: string): Promise<boolean> {
  const names = (await listFolder(folder)) ?? [];
  if (names.includes(SETTINGS)) return true;
  if (names.every((name) => name === LOCK || isLeftover(name))) return false;
  const allowed = 'allowed: a new or an empty folder, or that of a comparison to go on with';
  throw new InputError('OUTPUT_EXISTS', `${printable(folder)}: exists and is not empty; ${allowed}`);
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
