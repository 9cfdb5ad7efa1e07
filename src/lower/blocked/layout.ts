/**
 * The channel-blocked layout of ONNX Runtime's CPU kernels (domain com.microsoft.nchwc): [N, C, H, W] is stored as [N, C/b, H, W, b], where b is
 * the block, as many floats as a vector register holds (8 with AVX2, 16 with AVX-512). A tensor in this layout still says [N, C, H, W];
 * channels are filled up with zeros to a multiple of b.
 */
import type { Value } from '../../graph/index.js';
import type { AttributeValue, Emitter } from '../emitter.js';

export const nchwcDomain = 'com.microsoft.nchwc';

/** Which input of the domain's convolution its result is added to, and can be written over. */
export const convSum = 3;

/** A map [N, C, H, W] of which all but the batch is known. */
export interface MapShape {
  /** A text where it is known only at run time. */
  readonly batch: number | string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** The shape of a value that can be blocked; null for all others. */
export function mapShape(value: Value): MapShape | null {
  const [batch, channels, height, width] = value.shape;
  if (value.dtype !== 'float32' || value.shape.length !== 4) return null;
  if (typeof channels !== 'number' || typeof height !== 'number' || typeof width !== 'number') return null;
  return { batch: batch!, channels, height, width };
}

/** Emits nodes of the blocked domain and the reshapes around them. */
export class BlockedEmitter {
  constructor(
    readonly emit: Emitter,
    /** Channels in a block. */
    readonly block: number,
  ) {}

  /** Channels as stored: filled up to a multiple of the block. */
  padded(channels: number): number {
    return Math.ceil(channels / this.block) * this.block;
  }

  op(opType: string, inputs: readonly string[], attributes: Record<string, AttributeValue> = {}): string {
    return this.emit.op(opType, inputs, attributes, nchwcDomain);
  }

  reshape(x: string, shape: readonly (number | string)[]): string {
    return this.emit.op('Reshape', [x, this.emit.ints(shape.map((dim) => (typeof dim === 'number' ? dim : -1)))]);
  }

  transpose(x: string, perm: readonly number[]): string {
    return this.emit.op('Transpose', [x], { perm });
  }

  /** The axes of `shape` in another order. Nothing is emitted where those that move have length 1. */
  permute(x: string, shape: readonly number[], perm: readonly number[]): string {
    const moving = perm.filter((axis) => shape[axis] !== 1);
    const axes = moving.toSorted((a, b) => a - b);
    if (moving.every((axis, i) => axis === axes[i])) return x;
    const long = axes.map((axis) => shape[axis]!);
    return this.transpose(
      this.reshape(x, long),
      moving.map((axis) => axes.indexOf(axis)),
    );
  }

  mul(a: string, b: string): string {
    return this.emit.op('Mul', [a, b]);
  }

  scalar(value: number): string {
    return this.emit.floats([value], []);
  }

  /** Zeros behind the first axis of a matrix or vector. */
  padRows(x: string, rows: number, to: number, rank: number): string {
    if (rows === to) return x;
    const amounts = new Array<number>(2 * rank).fill(0);
    amounts[rank] = to - rows;
    return this.emit.op('Pad', [x, this.emit.ints(amounts)]);
  }

  /** A per-channel vector [C] filled up with zeros. */
  padVector(vector: string, channels: number): string {
    return this.padRows(vector, channels, this.padded(channels), 1);
  }

  /** The first `channels` entries of a padded vector. */
  cutVector(vector: string, channels: number): string {
    if (channels === this.padded(channels)) return vector;
    const { emit } = this;
    return emit.op('Slice', [vector, emit.ints([0]), emit.ints([channels]), emit.ints([0])]);
  }

  /** Plain to blocked. The kernel wants a multiple of 4 channels; it fills up to the block itself. */
  toBlocked(x: string, { channels }: MapShape): string {
    const missing = (4 - (channels % 4)) % 4;
    const source = missing === 0 ? x : this.emit.op('Pad', [x, this.emit.ints([0, 0, 0, 0, 0, missing, 0, 0])]);
    return this.op('ReorderInput', [source]);
  }

  /** Blocked to plain. */
  toPlain(x: string, { channels }: MapShape): string {
    return this.op('ReorderOutput', [x], { channels });
  }

  /** Blocked to [N, H, W, C] for `channels` as stored. */
  toChannelsLast(x: string, channels: number): string {
    return this.op('ReorderOutput', [x], { channels, channels_last: 1 });
  }

  /** Mean of each stored channel over N, H and W: [C]. */
  channelMean(x: string, shape: MapShape): string {
    return this.meanOverImages(this.op('GlobalAveragePool', [x]), shape);
  }

  /** Mean of x·y for each stored channel over N, H and W: [C]. */
  channelProductMean(x: string, y: string, shape: MapShape): string {
    const { batch, channels, height, width } = shape;
    if (typeof batch !== 'number') return this.channelMean(this.mul(x, y), shape);
    // Each map of x convolved with the one of y as its filter: their product is never written.
    const maps = batch * this.padded(channels);
    const one = this.reshape(x, [1, maps, height, width]);
    const filter = this.reshape(y, [maps, 1, height, width]);
    const sums = this.op('Conv', [one, filter], { kernel_shape: [height, width], group: maps });
    return this.mul(this.meanOverImages(sums, shape), this.scalar(1 / (height * width)));
  }

  /** One number for each image and stored channel → one for each stored channel. */
  private meanOverImages(x: string, { batch, channels }: MapShape): string {
    const stored = this.padded(channels);
    if (batch === 1) return this.reshape(x, [stored]);
    return this.emit.op('ReduceMean', [this.reshape(x, [batch, stored])], { axes: [0], keepdims: 0 });
  }

  /**
   * scale·x + shift (+ sum), per stored channel, as a depthwise 1×1 convolution, which is the fastest such kernel.
   * @param scale, shift [C] as stored
   */
  affine(
    x: string,
    { channels }: MapShape,
    scale: string,
    shift: string,
    extra: { readonly sum?: string; readonly relu?: boolean } = {},
  ): string {
    const stored = this.padded(channels);
    const inputs = [x, this.reshape(scale, [stored, 1, 1, 1]), shift, ...(extra.sum === undefined ? [] : [extra.sum])];
    return this.op('Conv', inputs, {
      kernel_shape: [1, 1],
      group: stored,
      ...(extra.relu ? { activation: 'Relu' } : {}),
    });
  }

  /** The map as 5 axes, for operators that work along height or width: [N, C/b, H, W, b]. */
  spread(x: string, { batch, channels, height, width }: MapShape): string {
    return this.reshape(x, [batch, this.padded(channels) / this.block, height, width, this.block]);
  }

  /** Back from 5 axes. */
  gather(x: string, { batch, channels, height, width }: MapShape): string {
    return this.reshape(x, [batch, this.padded(channels), height, width]);
  }
}
