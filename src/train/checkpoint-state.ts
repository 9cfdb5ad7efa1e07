/** What a checkpoint says beside its tensors: where the run is, and what it depends on. */
import { z } from 'zod';
import { InputError } from '../errors.js';
import { decodeJson } from '../files/json.js';
import { printable } from '../files/printable.js';
import { readFileBytes } from '../files/read.js';

const FORMAT_VERSION = 1;
const MAX_BYTES = 2 ** 24;

const count = z.int({ error: 'allowed: a whole number from 0' }).min(0, { error: 'allowed: a whole number from 0' });
const hash = z.string().regex(/^[0-9a-f]{64}$/, { error: 'allowed: 64 hexadecimal digits (SHA-256)' });

const schema = z.strictObject({
  formatVersion: z.literal(FORMAT_VERSION),
  /** Version of hpff that wrote it. */
  hpff: z.string(),
  /** Optimizer steps done, those included that were left out. */
  step: count,
  /** Of these, left out: no update was made. */
  skipped: count.default(0),
  /** Epoch of the next step, 1-based, and its index in that epoch, 0-based: they follow from `step` and `stepsPerEpoch`. */
  epoch: count,
  index: count,
  stepsPerEpoch: count,
  /** Seeds initial weights, order of the data and augmentation; with the step it is all of the random state. */
  seed: count,
  recipeHash: hash,
  /** What the command line set in the recipe. */
  overrides: z.strictObject({ epochs: count.optional(), seed: count.optional() }),
  /** SHA-256 of the training images. */
  dataHash: hash,
  /** What the bits depend on, besides. */
  computed: z.strictObject({
    onnxRuntime: z.string(),
    device: z.string(),
    schedule: z.string(),
    lowering: z.string(),
    delay: count.default(0),
    threads: count,
  }),
  /** The last evaluation of the test split. */
  evaluation: z.strictObject({ step: count, accuracy: z.number(), loss: z.number(), images: count }).nullable(),
  /** Sums of the group of steps that metrics.jsonl does not hold yet. */
  openGroup: z.strictObject({ steps: count, total: z.number(), losses: z.record(z.string(), z.number()) }).nullable(),
  /** SHA-256 of the files beside it. */
  files: z.strictObject({ 'weights.safetensors': hash, 'optimizer.safetensors': hash }),
});

export type CheckpointState = z.output<typeof schema>;

/** All but what the writing of the checkpoint adds. */
export type RunState = Omit<CheckpointState, 'formatVersion' | 'hpff' | 'files'>;

export function encodeState(state: RunState, files: CheckpointState['files'], hpff: string): string {
  const whole: CheckpointState = { formatVersion: FORMAT_VERSION, hpff, ...state, files };
  return `${JSON.stringify(whole, null, 2)}\n`;
}

/** @throws InputError `CHECKPOINT_VERSION`, `CHECKPOINT_INVALID`, or as `readFileBytes` and `decodeJson` */
export async function readState(path: string): Promise<CheckpointState> {
  const value = decodeJson(await readFileBytes(path, MAX_BYTES), path);
  const at = printable(path);
  const found = typeof value === 'object' && value !== null && 'formatVersion' in value ? value.formatVersion : null;
  if (found !== FORMAT_VERSION) {
    const problem = `formatVersion: found ${JSON.stringify(found)}, allowed: ${FORMAT_VERSION}`;
    throw new InputError('CHECKPOINT_VERSION', `${at}: ${problem}`);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new InputError('CHECKPOINT_INVALID', `${at}: ${printable(issue.path.join('.')) || 'state'}: ${issue.message}`);
}
