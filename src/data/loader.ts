/** Batches from a data set, by random access: batch (epoch, index) is the same whenever and in whatever order it is asked for. */
import { InputError, UsageError } from '../errors.js';
import { Random } from '../random.js';
import type { DataConfig } from '../recipe/types.js';
import { checkConfig } from './checks.js';
import type { Batch, Dataset } from './dataset.js';
import { axisSources, type Axis, type AxisSources } from './geometry.js';

export interface LoaderOptions {
  readonly seed: number;
  /** Train: shuffled, augmented, last incomplete batch left out. Otherwise: file order, as is, nothing left out. */
  readonly train: boolean;
}

/** Images prepared between two pauses of `prepare`: about a millisecond's work at 3×32×32. */
const SLICE = 64;

/** How one image is cropped and flipped: the stored rows and columns behind the prepared ones. */
interface Sampling {
  readonly rows: AxisSources;
  readonly columns: AxisSources;
}

/**
 * Makes batches: images are picked, converted to the network's size (grey repeated, centred on black), cropped from a
 * padded copy and flipped as torchvision's RandomCrop and RandomHorizontalFlip do, and normalised to (x/255 - mean)/std,
 * per channel, computed in double precision and rounded once. Padding happens before normalisation: black is pixel 0.
 *
 * Order and augmentation depend on nothing but (seed, epoch, position).
 */
export class Loader {
  readonly batchesPerEpoch: number;
  /** For each channel, the normalised value of every pixel value. */
  private readonly tables: Float32Array[];
  /** For each offset of the crop. */
  private readonly rowSources: AxisSources[];
  private readonly columnSources: { readonly straight: AxisSources; readonly flipped: AxisSources }[];
  private order: { readonly epoch: number; readonly images: Uint32Array } | null = null;

  /**
   * @param image the network's [channels, height, width]
   * @throws InputError `DATA_IMAGE_MISMATCH`, `DATA_CONVERT`, `DATA_NORMALIZE`, `DATA_CROP`, `DATA_BATCH`: the recipe's
   * data section does not fit the data set or the network
   */
  constructor(
    private readonly dataset: Dataset,
    private readonly config: DataConfig,
    private readonly image: readonly [number, number, number],
    private readonly options: LoaderOptions,
  ) {
    checkConfig(dataset, config, image);
    this.batchesPerEpoch = countBatches(dataset, config.batch, options.train);
    this.tables = normalizeTables(config.normalize, image[0]);
    const [rows, columns] = this.axes();
    const offsets = Array.from({ length: 2 * rows.pad + 1 }, (_, offset) => offset);
    this.rowSources = offsets.map((offset) => axisSources(rows, offset, false));
    this.columnSources = offsets.map((offset) => ({
      straight: axisSources(columns, offset, false),
      flipped: axisSources(columns, offset, true),
    }));
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
    this.checkIndex(epoch, index);
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

  private axes(): [Axis, Axis] {
    const crop = this.options.train ? this.config.augment.crop : null;
    const { pad, mode } = crop ?? { pad: 0, mode: 'zero' };
    const [, storedHeight, storedWidth] = this.dataset.image;
    const [, height, width] = this.image;
    return [
      { stored: storedHeight, size: height, pad, mode },
      { stored: storedWidth, size: width, pad, mode },
    ];
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
    const crops = this.rowSources.length;
    const flips = this.options.train && this.config.augment.flip;
    if (crops === 1 && !flips) return this.pickSampling(0, 0, false);
    const random = new Random(this.options.seed, 'augment', epoch, position);
    return this.pickSampling(random.int(crops), random.int(crops), flips && random.int(2) === 1);
  }

  private pickSampling(top: number, left: number, flip: boolean): Sampling {
    const rows = this.rowSources[top];
    const columns = this.columnSources[left]?.[flip ? 'flipped' : 'straight'];
    if (rows === undefined || columns === undefined) throw new UsageError('DATA_CROP', `no crop at ${top}, ${left}`);
    return { rows, columns };
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

  private checkIndex(epoch: number, index: number): void {
    const inRange = Number.isInteger(index) && index >= 0 && index < this.batchesPerEpoch;
    if (inRange && Number.isInteger(epoch) && epoch >= 0) return;
    throw new UsageError(
      'DATA_BATCH_INDEX',
      `batch ${index} of epoch ${epoch}; allowed: 0 to ${this.batchesPerEpoch - 1} of epochs from 0`,
    );
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

function countBatches(dataset: Dataset, batch: number, train: boolean): number {
  if (!train) return Math.ceil(dataset.count / batch);
  if (dataset.count < batch) {
    throw new InputError(
      'DATA_BATCH',
      `data.batch is ${batch}, but ${dataset.name} has ${dataset.count} ${dataset.split} images; allowed: at most that`,
    );
  }
  return Math.floor(dataset.count / batch);
}

/** For each channel, the normalised value of every pixel value. One mean or std serves all channels. */
function normalizeTables({ mean, std }: DataConfig['normalize'], channels: number): Float32Array[] {
  const of = (values: readonly number[], channel: number) => values[values.length === 1 ? 0 : channel] as number;
  return Array.from({ length: channels }, (_, channel) =>
    Float32Array.from({ length: 256 }, (_, value) => (value / 255 - of(mean, channel)) / of(std, channel)),
  );
}
