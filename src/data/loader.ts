/** Batches from images in memory, by random access: batch (epoch, index) is the same whenever and in whatever order it is asked for. */
import { Random } from '../random.js';
import type { DataConfig } from '../recipe/types.js';
import { type BatchSource, checkIndex, countBatches, type LoaderOptions } from './batches.js';
import { checkConfig } from './checks.js';
import type { Batch, Dataset } from './dataset.js';
import { normalizeTables } from './normalize.js';
import { type Sampling, Samplings } from './sampling.js';
import { shrinkImages } from './shrink.js';

export type { LoaderOptions } from './batches.js';

/** Images prepared between two pauses of `prepare`: about a millisecond's work at 3×32×32. */
const SLICE = 64;

/**
 * Makes batches: images are shrunk, converted to the network's size (grey repeated, centred on black), cropped from a
 * padded copy and flipped as torchvision's RandomCrop and RandomHorizontalFlip do, and normalised to (x/255 - mean)/std,
 * per channel, computed in double precision and rounded once. Padding happens before normalisation: black is pixel 0.
 *
 * Order and augmentation depend on nothing but (seed, epoch, position).
 */
export class Loader implements BatchSource {
  readonly batchesPerEpoch: number;
  /** For each channel, the normalised value of every pixel value. */
  private readonly tables: Float32Array[];
  private readonly dataset: Dataset;
  private readonly samplings: Samplings;
  private order: { readonly epoch: number; readonly images: Uint32Array } | null = null;

  /**
   * @param image the network's [channels, height, width]
   * @throws InputError `DATA_IMAGE_MISMATCH`, `DATA_CONVERT`, `DATA_NORMALIZE`, `DATA_CROP`, `DATA_BATCH`: the recipe's
   * data section does not fit the data set or the network
   */
  constructor(
    dataset: Dataset,
    private readonly config: DataConfig,
    private readonly image: readonly [number, number, number],
    private readonly options: LoaderOptions,
  ) {
    checkConfig(dataset, config, image);
    this.dataset = shrinkImages(dataset, config.convert?.shrink ?? 1);
    this.batchesPerEpoch = countBatches(dataset, config.batch, options.train);
    this.tables = normalizeTables(config.normalize, image[0]);
    const [, storedHeight, storedWidth] = this.dataset.image;
    const [, height, width] = image;
    const augment = options.train ? config.augment : null;
    this.samplings = new Samplings([storedHeight, storedWidth], [height, width], augment);
  }

  /**
   * @param epoch 0, 1, …
   * @param index 0 … batchesPerEpoch - 1
   * @throws UsageError `DATA_BATCH_INDEX`
   */
  batch(epoch: number, index: number): Batch {
    const work = this.prepare(epoch, index);
    for (;;) {
      const step = work.next();
      if (step.done) return step.value;
    }
  }

  /** As `batch`, pausing every few images so that others get their turn; the batch is what the generator returns. */
  *prepare(epoch: number, index: number): Generator<void, Batch> {
    checkIndex(epoch, index, this.batchesPerEpoch);
    const first = index * this.config.batch;
    const count = Math.min(this.config.batch, this.dataset.count - first);
    const order = this.orderOf(epoch);
    const [channels, height, width] = this.image;
    const pixels = new Float32Array(count * channels * height * width);
    const labels = new BigInt64Array(count);
    for (let i = 0; i < count; i++) {
      if (i > 0 && i % SLICE === 0) yield;
      const picked = order?.[first + i] ?? first + i;
      labels[i] = BigInt(this.dataset.labels[picked] ?? 0);
      this.copyImage(picked, this.sampling(epoch, first + i), pixels, i * channels * height * width);
    }
    return {
      image: { dtype: 'float32', shape: [count, channels, height, width], data: pixels },
      label: { dtype: 'int64', shape: [count], data: labels },
    };
  }

  /** The images of an epoch in the order of their turn; null for file order. */
  private orderOf(epoch: number): Uint32Array | null {
    if (!this.options.train) return null;
    if (this.order?.epoch !== epoch) {
      const images = Uint32Array.from({ length: this.dataset.count }, (_, i) => i);
      this.order = { epoch, images: new Random(this.options.seed, 'shuffle', epoch).shuffle(images) };
    }
    return this.order.images;
  }

  private sampling(epoch: number, position: number): Sampling {
    if (this.samplings.fixed) return this.samplings.first();
    return this.samplings.draw(new Random(this.options.seed, 'augment', epoch, position));
  }

  /** Copies one image, cropped, flipped and normalised, to `target` from `at` on. */
  private copyImage(picked: number, sampling: Sampling, target: Float32Array, at: number): void {
    const { pixels, image } = this.dataset;
    const [storedChannels, storedHeight, storedWidth] = image;
    const [, height, width] = this.image;
    const storedPlane = storedHeight * storedWidth;
    for (const [channel, table] of this.tables.entries()) {
      const from = (picked * storedChannels + Math.min(channel, storedChannels - 1)) * storedPlane;
      const to = at + channel * height * width;
      const plane = target.subarray(to, to + height * width);
      copyPlane(pixels.subarray(from, from + storedPlane), storedWidth, sampling, table, plane, width);
    }
  }
}

/** Copies one channel of an image through its table of normalised values. */
function copyPlane(
  stored: Uint8Array,
  storedWidth: number,
  { rows, columns }: Sampling,
  table: Float32Array,
  prepared: Float32Array,
  width: number,
): void {
  const { positions, sources } = columns;
  if (rows.positions.length * positions.length < prepared.length) prepared.fill(table[0] as number); // black
  for (let y = 0; y < rows.positions.length; y++) {
    const from = (rows.sources[y] as number) * storedWidth;
    const to = (rows.positions[y] as number) * width;
    for (let x = 0; x < positions.length; x++) {
      const pixel = stored[from + (sources[x] as number)] as number;
      prepared[to + (positions[x] as number)] = table[pixel] as number;
    }
  }
}
