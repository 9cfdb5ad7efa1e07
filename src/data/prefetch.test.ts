import { describe, expect, it } from 'vitest';
import { float32 } from '../files/tensor.js';
import type { Batch } from './dataset.js';
import { prefetch, type BatchSource } from './prefetch.js';

/** A source that notes what it is asked for, and fails on one batch if told to. */
class Recording implements BatchSource {
  readonly batchesPerEpoch = 3;
  readonly started: string[] = [];
  readonly finished: string[] = [];

  constructor(private readonly failing?: string) {}

  *prepare(epoch: number, index: number): Generator<void, Batch> {
    const place = `${epoch}.${index}`;
    this.started.push(place);
    yield;
    if (place === this.failing) throw new RangeError(`cannot read ${place}`);
    yield;
    this.finished.push(place);
    return {
      image: float32([1], [epoch]),
      label: { dtype: 'int64', shape: [1], data: BigInt64Array.of(BigInt(index)) },
    };
  }
}

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('prefetch', () => {
  it('gives every batch in order, from any start', async () => {
    const places: string[] = [];
    for await (const { epoch, index, batch } of prefetch(new Recording(), { epoch: 1, index: 1, endEpoch: 3 })) {
      places.push(`${epoch}.${index}`);
      expect([batch.image.data[0], batch.label.data[0]]).toEqual([epoch, BigInt(index)]);
    }
    expect(places).toEqual(['1.1', '1.2', '2.0', '2.1', '2.2']);
  });

  it('takes one past the last batch as the start of the next epoch', async () => {
    const first = await prefetch(new Recording(), { epoch: 1, index: 3 }).next();
    expect(first.value).toMatchObject({ epoch: 2, index: 0 });
  });

  it('gives nothing where nothing is left', async () => {
    expect(await prefetch(new Recording(), { epoch: 2, endEpoch: 2 }).next()).toEqual({ done: true, value: undefined });
  });

  it('prepares as many batches ahead as told, no more, while the consumer is busy', async () => {
    const source = new Recording();
    const batches = prefetch(source, { depth: 2 });
    await batches.next();
    await turns(50);
    expect(source.finished).toEqual(['0.0', '0.1', '0.2']);
    expect(source.started).toEqual(source.finished);
    await batches.next();
    await turns(50);
    expect(source.finished).toEqual(['0.0', '0.1', '0.2', '1.0']);
    await batches.return();
  });

  it('lets others have their turn between slices', async () => {
    const source = new Recording();
    let between = 0;
    const first = prefetch(source, { depth: 0 }).next();
    while (source.finished.length === 0) {
      await turns(1);
      between++;
    }
    await first;
    expect(between).toBeGreaterThanOrEqual(3); // three slices
  });

  it('delivers an error in its turn, and nothing after it', async () => {
    const source = new Recording('0.2');
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    const batches = prefetch(source);
    await batches.next();
    await turns(50); // the error is there long before its turn
    expect((await batches.next()).value).toMatchObject({ index: 1 });
    await expect(batches.next()).rejects.toThrow('cannot read 0.2');
    expect(await batches.next()).toEqual({ done: true, value: undefined });
    await turns(5);
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
    expect(source.started).toEqual(['0.0', '0.1', '0.2']);
  });

  it('abandons its work when the consumer leaves', async () => {
    const source = new Recording();
    for await (const _ of prefetch(source, { depth: 5 })) break;
    const startedByThen = source.started.length;
    await turns(50);
    expect(source.started.length).toBe(startedByThen);
    expect(source.finished).toEqual(['0.0']);
  });
});
