/**
 * Preparing batches ahead of their use: on other threads, or in slices between other work, since this thread is free while a
 * run is in flight on native threads.
 */
import { othersTurn } from '../others-turn.js';
import type { BatchSource } from './batches.js';
import type { Batch } from './dataset.js';

export type { BatchSource } from './batches.js';

/** A batch and its place in the run. */
export interface PlacedBatch {
  readonly epoch: number;
  readonly index: number;
  readonly batch: Batch;
}

export interface PrefetchOptions {
  /** Where to start. Default: the first batch of epoch 0. */
  readonly epoch?: number;
  readonly index?: number;
  /** Epoch to end before. Default: never. */
  readonly endEpoch?: number;
  /** Batches prepared ahead of the one in use. Default 2. */
  readonly depth?: number;
}

interface Place {
  readonly epoch: number;
  readonly index: number;
}

/**
 * Gives the batches of a source in order. While the consumer works on one, the next `depth` are prepared, one after
 * another, generators in slices. An error of the source reaches the consumer when the batch's turn comes. Leaving
 * the loop early (`break`, `return`, `throw`) abandons what is being prepared.
 */
export async function* prefetch(source: BatchSource, options: PrefetchOptions = {}): AsyncGenerator<PlacedBatch, void> {
  const { epoch = 0, index = 0, endEpoch = Infinity, depth = 2 } = options;
  const stop = new AbortController();
  const ahead: Promise<PlacedBatch>[] = [];
  let next: Place = normalised({ epoch, index }, source.batchesPerEpoch);
  let last: Promise<unknown> = Promise.resolve();
  const topUp = () => {
    while (ahead.length <= depth && next.epoch < endEpoch) {
      const prepared = prepareAfter(last, source, next, stop.signal);
      prepared.catch(() => undefined); // it is told to the consumer, not to the process
      ahead.push(prepared);
      last = prepared;
      next = normalised({ epoch: next.epoch, index: next.index + 1 }, source.batchesPerEpoch);
    }
  };
  try {
    for (topUp(); ; topUp()) {
      const head = ahead.shift();
      if (head === undefined) return;
      yield await head;
    }
  } finally {
    stop.abort();
  }
}

/** The place itself, or the start of the next epoch where the index is one past the last batch. */
function normalised({ epoch, index }: Place, batchesPerEpoch: number): Place {
  return index === batchesPerEpoch ? { epoch: epoch + 1, index: 0 } : { epoch, index };
}

/** Prepares one batch once the one before it is done. */
async function prepareAfter(
  before: Promise<unknown>,
  source: BatchSource,
  { epoch, index }: Place,
  stop: AbortSignal,
): Promise<PlacedBatch> {
  await before;
  stop.throwIfAborted();
  const work = source.prepare(epoch, index, stop);
  if (work instanceof Promise) return { epoch, index, batch: await work };
  for (;;) {
    await othersTurn();
    stop.throwIfAborted();
    const step = work.next();
    if (step.done) return { epoch, index, batch: step.value };
  }
}
