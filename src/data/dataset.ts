/** What a data set is once read, and what a loader makes of it. */
import type { HostTensor } from '../files/tensor.js';

/** Images as stored: 8 bits a channel, [count, channels, height, width], row-major. */
export interface Dataset {
  readonly name: string;
  readonly split: 'train' | 'test';
  readonly classes: number;
  /** [channels, height, width] */
  readonly image: readonly [number, number, number];
  readonly count: number;
  readonly pixels: Uint8Array;
  /** Class of each image, 0 … classes-1. */
  readonly labels: Uint8Array;
}

/** One batch, ready for the graphs. */
export interface Batch {
  /** float32 [N, C, H, W], normalised. */
  readonly image: HostTensor<'float32'>;
  /** int64 [N]. */
  readonly label: HostTensor<'int64'>;
}
