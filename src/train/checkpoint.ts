/**
 * Checkpoints of a run: `checkpoints/<step>/{weights,optimizer}.safetensors` and `state.json`, and `latest`, a text file with the
 * step of the one to go on from. A checkpoint is complete or absent, and `latest` names a complete one, whatever moment the
 * process is killed.
 */
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HpffError, InputError } from '../errors.js';
import {
  ensureDirectory,
  removeLeftovers,
  removeTreeAtomic,
  writeDirectoryAtomic,
  writeFileAtomic,
} from '../files/atomic.js';
import { printable, quoted } from '../files/printable.js';
import { readFileBytes, readFileText } from '../files/read.js';
import { decodeSafetensors } from '../files/safetensors.js';
import { encodePieces } from '../files/safetensors/encode.js';
import { sha256 } from '../files/sha256.js';
import { errnoCode, readError } from '../files/system-errors.js';
import type { NamedTensors } from '../files/tensor.js';
import { othersTurn } from '../others-turn.js';
import { version } from '../version.js';
import { encodeState, readState, type CheckpointState, type RunState } from './checkpoint-state.js';

const WEIGHTS = 'weights.safetensors';
const OPTIMIZER = 'optimizer.safetensors';
const STATE = 'state.json';

export interface Checkpoint {
  readonly folder: string;
  readonly state: CheckpointState;
  readonly weights: NamedTensors;
  readonly optimizer: NamedTensors;
}

const folderOf = (run: string, step: number | string): string => join(run, 'checkpoints', String(step));

/** Writes the checkpoints of a run; there must be no other writer. */
export class CheckpointWriter {
  /** Step of the checkpoint that `latest` names. */
  private latest: number | null;
  private files: CheckpointState['files'] | null;

  /**
   * @param keep how many checkpoints stay, the newest ones
   * @param last the one that the run goes on from
   */
  constructor(
    private readonly run: string,
    private readonly keep: number,
    last: Checkpoint | null = null,
  ) {
    this.latest = last?.state.step ?? null;
    this.files = last?.state.files ?? null;
  }

  /**
   * Writes a checkpoint, makes it the latest, and removes those that are then too many. At the step of the latest one only
   * the state is written anew: its tensors are the same.
   * @returns the checkpoint's folder
   * @throws as `writeDirectoryAtomic`
   */
  async write(state: RunState, tensors: () => { weights: NamedTensors; optimizer: NamedTensors }): Promise<string> {
    const folder = folderOf(this.run, state.step);
    if (this.latest === state.step && this.files !== null) {
      await writeFileAtomic(join(folder, STATE), encodeState(state, this.files, version));
      return folder;
    }
    await ensureDirectory(join(this.run, 'checkpoints'));
    await removeTreeAtomic(folder); // of a run that went on from an older checkpoint
    this.files = await writeCheckpoint(folder, state, tensors());
    await writeFileAtomic(join(this.run, 'latest'), `${state.step}\n`);
    this.latest = state.step;
    await this.prune(state.step);
    return folder;
  }

  /** Step of the latest checkpoint, null where there is none. */
  get latestStep(): number | null {
    return this.latest;
  }

  /** Removes what a killed writer left: unfinished files, and checkpoints that should have been removed. */
  async tidy(): Promise<void> {
    await removeLeftovers(this.run);
    await removeLeftovers(join(this.run, 'checkpoints'));
    if (this.latest !== null) await this.prune(this.latest);
  }

  private async prune(step: number): Promise<void> {
    const older = (await checkpointSteps(this.run)).filter((each) => each < step);
    for (const each of older.slice(0, Math.max(0, older.length - this.keep + 1))) {
      await removeTreeAtomic(folderOf(this.run, each));
    }
  }
}

async function writeCheckpoint(
  folder: string,
  state: RunState,
  { weights, optimizer }: { weights: NamedTensors; optimizer: NamedTensors },
): Promise<CheckpointState['files']> {
  const contents = { [WEIGHTS]: await encoded(weights), [OPTIMIZER]: await encoded(optimizer) } as const;
  const files = { [WEIGHTS]: await checksum(contents[WEIGHTS]), [OPTIMIZER]: await checksum(contents[OPTIMIZER]) };
  await writeDirectoryAtomic(folder, async (temporary) => {
    await writeFileAtomic(join(temporary, WEIGHTS), contents[WEIGHTS]);
    await writeFileAtomic(join(temporary, OPTIMIZER), contents[OPTIMIZER]);
    await writeFileAtomic(join(temporary, STATE), encodeState(state, files, version));
  });
  return files;
}

/** The file in one piece: one write is faster than thousands. Others get their turn after every mebibyte or so. */
async function encoded(tensors: NamedTensors): Promise<Uint8Array> {
  const pieces = encodePieces(tensors, {});
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    if (at >> 20 !== (at + piece.length) >> 20) await othersTurn();
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** SHA-256, others getting their turn after every mebibyte. */
async function checksum(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += 2 ** 20) {
    await othersTurn();
    hash.update(bytes.subarray(at, at + 2 ** 20));
  }
  return hash.digest('hex');
}

/**
 * Reads the checkpoint that `latest` names, and verifies it.
 * @throws InputError `RUN_LATEST` if `latest` is missing or names none; `CHECKPOINT_CHECKSUM`, or as `readState` and
 * `decodeSafetensors`, if the checkpoint is broken; all say which checkpoints there are
 */
export async function readLatest(run: string): Promise<Checkpoint> {
  return reading(run, async (folder, state) => ({
    folder,
    state,
    weights: await readTensors(join(folder, WEIGHTS), state.files[WEIGHTS]),
    optimizer: await readTensors(join(folder, OPTIMIZER), state.files[OPTIMIZER]),
  }));
}

/**
 * Reads what the checkpoint that `latest` names says beside its tensors, which are left unread.
 * @throws InputError as `readLatest`
 */
export async function readLatestState(run: string): Promise<CheckpointState> {
  return reading(run, async (_, state) => state);
}

/** Reads from the latest checkpoint; errors say which checkpoints there are. */
async function reading<T>(run: string, read: (folder: string, state: CheckpointState) => Promise<T>): Promise<T> {
  const step = await latestStep(run);
  const folder = folderOf(run, step);
  try {
    const state = await readState(join(folder, STATE));
    if (state.step !== step) {
      throw new InputError('CHECKPOINT_INVALID', `${printable(join(folder, STATE))}: step: found ${state.step}`);
    }
    return await read(folder, state);
  } catch (error) {
    if (!(error instanceof HpffError)) throw error;
    const remedy = await otherCheckpoints(run, step);
    throw new InputError(error.code, `${error.message}; ${remedy}`, { cause: error });
  }
}

async function latestStep(run: string): Promise<number> {
  const at = printable(join(run, 'latest'));
  let text: string;
  try {
    text = await readFileText(join(run, 'latest'), 1024);
  } catch (error) {
    if (!(error instanceof HpffError)) throw error;
    throw new InputError('RUN_LATEST', `${error.message}; ${await otherCheckpoints(run, null)}`, { cause: error });
  }
  const steps = await checkpointSteps(run);
  const named = /^(0|[1-9][0-9]{0,15})\n?$/.exec(text)?.[1];
  if (named !== undefined && steps.includes(Number(named))) return Number(named);
  const problem = `found ${quoted(text.trimEnd(), 40)}, allowed: the step of a checkpoint`;
  throw new InputError('RUN_LATEST', `${at}: ${problem}; ${await otherCheckpoints(run, null)}`);
}

async function readTensors(path: string, checksum: string): Promise<NamedTensors> {
  const bytes = await readFileBytes(path);
  const found = sha256(bytes);
  if (found === checksum) return decodeSafetensors(bytes, path).tensors;
  const problem = `SHA-256 is ${found}, but ${STATE} says ${checksum}: the file is damaged`;
  throw new InputError('CHECKPOINT_CHECKSUM', `${printable(path)}: ${problem}`);
}

/** What there is to go on from instead, for a message. */
async function otherCheckpoints(run: string, broken: number | null): Promise<string> {
  const others = (await checkpointSteps(run)).filter((step) => step !== broken);
  const folder = printable(join(run, 'checkpoints'));
  if (others.length === 0) return `${folder} holds no ${broken === null ? '' : 'other '}checkpoint`;
  return `${folder} holds ${others.join(', ')}; to go on from one of them, write its number into 'latest'`;
}

/** Steps of all checkpoints, rising. */
async function checkpointSteps(run: string): Promise<number[]> {
  const folder = join(run, 'checkpoints');
  try {
    const names = await readdir(folder);
    return names
      .filter((name) => /^(0|[1-9][0-9]{0,15})$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw readError(folder, error);
  }
}
