/** Accuracy and loss of anything that scores images, over a data set. */
import { RunError } from '../errors.js';
import type { BatchSource, LoaderOptions } from '../data/batches.js';
import { prefetch } from '../data/prefetch.js';
import { elementCount, type HostTensor } from '../files/tensor.js';
import type { DataConfig } from '../recipe/types.js';

/** Class scores (logits) of normalised images float32 [N, C, H, W]: float32 [N, classes], row by row. */
export type Score = (image: HostTensor<'float32'>) => Promise<Float32Array>;

export interface Evaluation {
  /** Share of images whose highest score is their class's, 0 … 1; of equal scores the first counts. */
  readonly accuracy: number;
  /** Mean cross-entropy of the softmax of the scores, in nats. */
  readonly loss: number;
  readonly images: number;
}

/** Images at a time, where they are small: enough to keep all cores busy. */
const SMALLEST_BATCH = 100;
/** Of larger ones as many as have this many values: what they need of memory is to be that of a training step at most. */
const BATCH_VALUES = 2 ** 21;

/**
 * How the batches of an evaluation are loaded: file order, no augmentation, none left out; at least 100 images of CIFAR's size at a time, fewer of larger
 * ones, and the recipe's batch where that is more.
 */
export function evaluationSetting(
  config: DataConfig,
  image: readonly [number, number, number],
): { readonly config: DataConfig; readonly options: LoaderOptions } {
  const enough = Math.max(1, Math.floor(BATCH_VALUES / elementCount(image)));
  const batch = Math.max(Math.min(SMALLEST_BATCH, enough), config.batch);
  return { config: { ...config, batch }, options: { seed: 0, train: false } };
}

/**
 * @param signal ends the evaluation between two batches
 * @throws RunError `EVALUATE_SCORES` if the scores do not fit the batch, and whatever `score` throws
 */
export async function evaluate(score: Score, source: BatchSource, signal?: AbortSignal): Promise<Evaluation> {
  let images = 0;
  let correct = 0;
  let loss = 0;
  for await (const { batch } of prefetch(source, { endEpoch: 1 })) {
    signal?.throwIfAborted();
    const labels = batch.label.data;
    const scores = await score(batch.image);
    const classes = scores.length / labels.length;
    labels.forEach((label, i) => {
      const row = scores.subarray(i * classes, (i + 1) * classes);
      if (!Number.isInteger(classes) || Number(label) >= classes) throw misfit(scores, labels, label);
      if (indexOfHighest(row) === Number(label)) correct++;
      loss += crossEntropy(row, Number(label));
    });
    images += labels.length;
  }
  return { accuracy: correct / images, loss: loss / images, images };
}

/** -log softmax(row)[label], in double precision. */
function crossEntropy(row: Float32Array, label: number): number {
  const highest = row.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = row.reduce((total, value) => total + Math.exp(value - highest), 0);
  return Math.log(sum) + highest - row[label]!;
}

function indexOfHighest(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
  return best;
}

function misfit(scores: Float32Array, labels: BigInt64Array, label: bigint): RunError {
  return new RunError(
    'EVALUATE_SCORES',
    `${scores.length} scores for ${labels.length} images, one of class ${label}; allowed: a score for each class`,
  );
}
