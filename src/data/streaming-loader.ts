/** Batches from encoded images on the disk: read and decoded on other threads, a few at a time, each when its batch needs it. */
import { Random } from '../random.js';
import { defaultResize } from '../recipe/data-defaults.js';
import type { DataConfig } from '../recipe/types.js';
import { randomArea } from './area.js';
import { type BatchSource, checkIndex, countBatches, type LoaderOptions } from './batches.js';
import { checkEncodedConfig } from './checks.js';
import type { Batch, EncodedDataset } from './dataset.js';
import { decodeImage, decodesAtOnce, type Target } from './decode.js';
import { normalizeTables } from './normalize.js';
import { type Sampling, Samplings } from './sampling.js';

/** How one image of a batch is prepared. */
interface Preparation {
  readonly target: Target;
  readonly sampling: Sampling;
}

/**
 * Makes batches: images are decoded, a random part of them resized (`augment.resizedCrop`, training only) or their centre taken,
 * cropped from a padded copy, flipped and normalised as `Loader` does.
 *
 * Order and augmentation depend on nothing but (seed, epoch, position), not on which image is decoded first.
 */
export class StreamingLoader implements BatchSource {
  readonly batchesPerEpoch: number;
  private readonly channels: 1 | 3;
  private readonly tables: Float32Array[];
  private readonly samplings: Samplings;
  private order: { readonly epoch: number; readonly images: Uint32Array } | null = null;

  /**
   * @param image the network's [channels, height, width]
   * @throws InputError as `checkEncodedConfig`, and `DATA_BATCH`
   */
  constructor(
    private readonly dataset: EncodedDataset,
    private readonly config: DataConfig,
    private readonly image: readonly [number, number, number],
    private readonly options: LoaderOptions,
  ) {
    checkEncodedConfig(dataset.name, config, image);
    this.channels = image[0] === 1 ? 1 : 3;
    this.batchesPerEpoch = countBatches(dataset, config.batch, options.train);
    this.tables = normalizeTables(config.normalize, image[0]);
    const size = [image[1], image[2]] as const;
    this.samplings = new Samplings(size, size, options.train ? config.augment : null);
  }

  /**
   * @throws UsageError `DATA_BATCH_INDEX`; InputError as `EncodedDataset.read` and `decodeImage`: of several bad images, the first
   * of the batch
   */
  async prepare(epoch: number, index: number, stop?: AbortSignal): Promise<Batch> {
    checkIndex(epoch, index, this.batchesPerEpoch);
    const first = index * this.config.batch;
    const count = Math.min(this.config.batch, this.dataset.count - first);
    const order = this.orderOf(epoch);
    const [, height, width] = this.image;
    const size = this.channels * height * width;
    const pixels = new Float32Array(count * size);
    const picked = Array.from({ length: count }, (_, i) => order?.[first + i] ?? first + i);
    await inOrder(count, decodesAtOnce, async (i) => {
      stop?.throwIfAborted();
      const { target, sampling } = this.preparation(epoch, first + i);
      const decoded = await decodeImage(await this.dataset.read(picked[i] as number), target);
      this.copyImage(decoded, sampling, pixels.subarray(i * size, (i + 1) * size));
    });
    const labels = BigInt64Array.from(picked, (image) => BigInt(this.dataset.labels[image] ?? 0));
    return {
      image: { dtype: 'float32', shape: [count, this.channels, height, width], data: pixels },
      label: { dtype: 'int64', shape: [count], data: labels },
    };
  }

  /** The images of an epoch in the order of their turn; null for file order. */
  private orderOf(epoch: number): Uint32Array | null {
    if (!this.options.train) return null;
    if (this.order?.epoch !== epoch) {
      this.order = { epoch, images: this.dataset.order(new Random(this.options.seed, 'shuffle', epoch)) };
    }
    return this.order.images;
  }

  private preparation(epoch: number, position: number): Preparation {
    const [, height, width] = this.image;
    const { augment, resize } = this.config;
    const resizedCrop = this.options.train ? augment.resizedCrop : null;
    const random = new Random(this.options.seed, 'augment', epoch, position);
    const sampling = this.samplings.fixed ? this.samplings.first() : this.samplings.draw(random);
    const part: Target['part'] =
      resizedCrop === null
        ? (resize ?? defaultResize(this.image))
        : (decoded) => randomArea(decoded, resizedCrop, random);
    return { target: { width, height, channels: this.channels, part }, sampling };
  }

  /** Copies a decoded image, cropped, flipped and normalised, from pixel by pixel to channel by channel. */
  private copyImage(decoded: Uint8Array, { rows, columns }: Sampling, target: Float32Array): void {
    const [, height, width] = this.image;
    const { channels } = this;
    for (const [channel, table] of this.tables.entries()) {
      const plane = target.subarray(channel * height * width, (channel + 1) * height * width);
      const partial = rows.positions.length * columns.positions.length < plane.length;
      if (partial) plane.fill(table[0] as number); // black
      for (let y = 0; y < rows.positions.length; y++) {
        const from = (rows.sources[y] as number) * width;
        const to = (rows.positions[y] as number) * width;
        for (let x = 0; x < columns.positions.length; x++) {
          const pixel = decoded[(from + (columns.sources[x] as number)) * channels + channel] as number;
          plane[to + (columns.positions[x] as number)] = table[pixel] as number;
        }
      }
    }
  }
}

/**
 * Does `work` for 0 … count-1, begun in order, at most `atOnce` at a time. After a failure nothing more is begun; what is in progress is
 * waited for, so that of several failures the one of the lowest number is thrown, whatever the timing.
 */
async function inOrder(count: number, atOnce: number, work: (i: number) => Promise<void>): Promise<void> {
  const failures = new Map<number, unknown>();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count && failures.size === 0) {
      const i = next++;
      await work(i).catch((error: unknown) => failures.set(i, error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
  if (failures.size > 0) throw failures.get(Math.min(...failures.keys()));
}
