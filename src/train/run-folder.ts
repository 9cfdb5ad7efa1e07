/** The run folder: begun once, gone on with only by the same recipe. */
import { realpath } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { InputError } from '../errors.js';
import { ensureDirectory, removeTree, writeDirectoryAtomic, writeFileAtomic } from '../files/atomic.js';
import { listFolder } from '../files/list-folder.js';
import { printable } from '../files/printable.js';
import { recipeHash } from '../recipe/hash.js';
import { toJson, type Recipe } from '../recipe/index.js';
import { readRecipe } from '../recipe/read.js';
import { readLatest, readLatestState, type Checkpoint } from './checkpoint.js';
import type { CheckpointState } from './checkpoint-state.js';
import { firstDifference } from './difference.js';
import { LOCK, type RunLock } from './run-lock.js';
import { readSessions, type Session } from './sessions.js';

const RECIPE = 'recipe.json';
const METRICS = 'metrics.jsonl';

/** Of a run folder, beside reports, traces and TensorBoard's event files. */
const ownNames: readonly string[] = [RECIPE, METRICS, 'sessions.jsonl', 'latest', 'checkpoints', LOCK];

export const metricsPath = (run: string): string => join(run, METRICS);

/** A run as it lies on the disk. */
export interface Run {
  readonly folder: string;
  /** With what the command line set in it. */
  readonly recipe: Recipe;
  readonly checkpoint: Checkpoint;
}

/**
 * Reads a run folder with its latest checkpoint.
 * @throws InputError `RUN_MISSING` if there is no run; `RUN_RECIPE_CHANGED` if its recipe.json is not the one it was begun with; as
 * `readRecipe` and `readLatest`
 */
export async function readRun(folder: string): Promise<Run> {
  await requireRun(folder);
  const recipe = await readRecipe(join(folder, RECIPE));
  const checkpoint = await readLatest(folder);
  requireOwnRecipe(folder, recipe, checkpoint.state);
  return { folder, recipe, checkpoint };
}

/** @throws InputError `RUN_RECIPE_CHANGED` */
function requireOwnRecipe(folder: string, recipe: Recipe, { recipeHash: begunWith }: CheckpointState): void {
  if (begunWith === recipeHash(recipe)) return;
  const path = printable(join(folder, RECIPE));
  throw new InputError('RUN_RECIPE_CHANGED', `${path}: is not the recipe that the run was begun with; put it back`);
}

/** A run without its tensors. */
export interface RunOutline {
  readonly folder: string;
  readonly recipe: Recipe;
  /** Of the latest checkpoint. */
  readonly state: CheckpointState;
  readonly sessions: readonly Session[];
}

/**
 * Reads what a run folder says of its run, but for metrics and tensors.
 * @throws InputError as `readRun` and `readSessions`
 */
export async function readRunOutline(folder: string): Promise<RunOutline> {
  await requireRun(folder);
  const recipe = await readRecipe(join(folder, RECIPE));
  const state = await readLatestState(folder);
  requireOwnRecipe(folder, recipe, state);
  return { folder, recipe, state, sessions: await readSessions(folder) };
}

/**
 * Refuses to write a file in the place of what a run needs to go on or to be shown.
 * @param run its folder, or the recipe that stands for it
 * @throws InputError `OUTPUT_IN_RUN`
 */
export async function refuseRunFile(run: string, file: string): Promise<void> {
  const within = relative(await real(run), await real(file));
  const [first = ''] = within.split(sep);
  if (first !== '' && !ownNames.includes(first)) return;
  throw new InputError(
    'OUTPUT_IN_RUN',
    `${printable(file)}: belongs to ${printable(run)}, which it is made from; allowed: another file`,
  );
}

/** Without links, also of a file that is not there yet. */
async function real(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return join(await realpath(dirname(resolve(path))).catch(() => dirname(resolve(path))), basename(path));
  }
}

/** @throws InputError `RUN_MISSING` */
async function requireRun(folder: string): Promise<void> {
  const missing = (found: string, cause?: unknown): InputError =>
    new InputError('RUN_MISSING', `${printable(folder)}: ${found}; allowed: the folder of a run`, { cause });
  const names = await listFolder(folder, (_, cause) => missing('is a file', cause));
  if (names === null) throw missing('no such folder');
  if (!names.includes(RECIPE)) throw missing(names.length === 0 ? 'is empty' : `holds no ${RECIPE}`);
}

/**
 * Refuses to go on with a run under another recipe.
 * @throws InputError `RESUME_RECIPE` naming the first difference
 */
export function requireSameRecipe({ folder, recipe }: Pick<Run, 'folder' | 'recipe'>, given: Recipe): void {
  if (recipeHash(recipe) === recipeHash(given)) return;
  const { path, before, now } = firstDifference(recipe, given);
  throw new InputError(
    'RESUME_RECIPE',
    `${printable(folder)}: the run has ${path} ${printable(before, 60)}, the recipe now ${printable(now, 60)}; ` +
      'allowed: to resume with the same recipe, or another in a new folder',
  );
}

/**
 * Refuses a folder that a new run cannot have.
 * @param but a file that may be in it
 * @throws InputError `RUN_EXISTS` if it holds a run, `OUTPUT_EXISTS` if it holds anything else, `OUTPUT_NOT_WRITABLE` if it is a file
 */
export async function requireFreeFolder(folder: string, but?: string): Promise<void> {
  const names = (await listFolder(folder))?.filter((name) => name !== but);
  if (names === undefined || names.length === 0) return;
  const at = printable(folder);
  if (names.includes(RECIPE) || names.includes('latest')) {
    throw new InputError('RUN_EXISTS', `${at}: holds a run; add --resume to go on with it, or name a new folder`);
  }
  throw new InputError('OUTPUT_EXISTS', `${at}: exists and is not empty; allowed: a new or an empty folder`);
}

/**
 * Makes the folder of a new run with its first checkpoint; if that fails, nothing stays. Missing parents are made.
 * @param lock is taken in it
 * @param addCheckpoint writes the checkpoint into the folder that it is given
 * @throws as `requireFreeFolder` and `writeDirectoryAtomic`; what `addCheckpoint` throws
 */
export async function createRun(
  folder: string,
  recipe: Recipe,
  lock: RunLock,
  addCheckpoint: (folder: string) => Promise<void>,
): Promise<void> {
  await requireFreeFolder(folder);
  const fill = async (target: string): Promise<void> => {
    await writeFileAtomic(metricsPath(target), '');
    await writeFileAtomic(join(target, RECIPE), toJson(recipe));
    await addCheckpoint(target);
  };
  await ensureDirectory(dirname(resolve(folder)));
  if ((await listFolder(folder)) === null) {
    return writeDirectoryAtomic(folder, async (target) => {
      await lock.takeIn(target);
      await fill(target);
    });
  }
  // An empty folder may be a mount point, which nothing can be renamed to.
  await lock.takeIn(folder);
  await requireFreeFolder(folder, LOCK); // another run may have come and gone; from here on what is in it is ours
  try {
    await fill(folder);
  } catch (error) {
    for (const name of (await listFolder(folder)) ?? []) await removeTree(join(folder, name));
    throw error;
  }
}
