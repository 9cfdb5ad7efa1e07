/** What a data set is once it is opened, and what a loader makes of it. */
import type { HostTensor } from '../files/tensor.js';
import type { Random } from '../random.js';

/** Class of each image, 0 … classes-1. */
export type Labels = Uint8Array | Uint16Array;

/** What is known of a split, whether its images are in memory or not. */
export interface DatasetInfo {
  readonly name: string;
  readonly split: 'train' | 'test';
  readonly classes: number;
  readonly count: number;
  readonly labels: Labels;
}

/** Images of one size in memory, as stored: 8 bits a channel, [count, channels, height, width], row-major. */
export interface Dataset extends DatasetInfo {
  /** [channels, height, width] */
  readonly image: readonly [number, number, number];
  readonly pixels: Uint8Array;
  readonly labels: Uint8Array;
}

/** Images of any size in JPEG, PNG or WebP, on the disk: each is read when it is needed. */
export interface EncodedDataset extends DatasetInfo {
  /** SHA-256 of what tells these images from others: the listing of the files with their sizes, and the labels. */
  readonly fingerprint: string;
  /** The order in which an epoch takes the images: each once, drawn with `random`. */
  order(random: Random): Uint32Array;
  /** @throws InputError where the image's file cannot be read */
  read(index: number): Promise<EncodedImage>;
}

export type AnyDataset = Dataset | EncodedDataset;

export interface EncodedImage {
  readonly bytes: Uint8Array;
  /** Where it is from, for errors. */
  readonly where: string;
}

/** One batch, ready for the graphs. */
export interface Batch {
  /** float32 [N, C, H, W], normalised. */
  readonly image: HostTensor<'float32'>;
  /** int64 [N]. */
  readonly label: HostTensor<'int64'>;
}

export function isInMemory(dataset: AnyDataset): dataset is Dataset {
  return 'pixels' in dataset;
}
