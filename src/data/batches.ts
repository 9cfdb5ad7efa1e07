/** Counting batches: what all loaders have in common. */
import { InputError, UsageError } from '../errors.js';
import type { Batch, DatasetInfo } from './dataset.js';

/** What gives batches by random access. */
export interface BatchSource {
  readonly batchesPerEpoch: number;
  /**
   * Prepares a batch: in slices, by a generator that pauses every few images and returns the batch, or on other threads.
   * @param stop gives up, by a rejection, what goes on elsewhere
   */
  prepare(epoch: number, index: number, stop?: AbortSignal): Generator<void, Batch> | Promise<Batch>;
}

export interface LoaderOptions {
  readonly seed: number;
  /** Train: shuffled, augmented, last incomplete batch left out. Otherwise: file order, as is, nothing left out. */
  readonly train: boolean;
}

/** Batches of an epoch: whole ones in training, all images otherwise. @throws InputError `DATA_BATCH` */
export function countBatches({ name, split, count }: DatasetInfo, batch: number, train: boolean): number {
  if (!train) return Math.ceil(count / batch);
  if (count >= batch) return Math.floor(count / batch);
  const found = `data.batch is ${batch}, but ${name} has ${count} ${split} images`;
  throw new InputError('DATA_BATCH', `${found}; allowed: at most that`);
}

/** @throws UsageError `DATA_BATCH_INDEX` */
export function checkIndex(epoch: number, index: number, batchesPerEpoch: number): void {
  const inRange = Number.isInteger(index) && index >= 0 && index < batchesPerEpoch;
  if (inRange && Number.isInteger(epoch) && epoch >= 0) return;
  throw new UsageError(
    'DATA_BATCH_INDEX',
    `batch ${index} of epoch ${epoch}; allowed: 0 to ${batchesPerEpoch - 1} of epochs from 0`,
  );
}

/** A batch of any source, prepared at once. */
export async function batchOf(source: BatchSource, epoch: number, index: number): Promise<Batch> {
  const work = source.prepare(epoch, index);
  if (work instanceof Promise) return work;
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}
