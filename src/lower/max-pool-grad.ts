/**
 * The gradient of maximum pooling without the indices of the maxima, which some devices do not give.
 *
 * Tap (r, s) of all windows is a strided slice of the padded map. Taps are gone through in row-major order: where one equals the window's maximum, it
 * takes what is left of the window's cotangent. What taps of one phase of the stride took lands beside each other when shifted, and
 * the phases are interleaved.
 *
 * The map is seen as [N, C, H, W, b], where b is 1, or the channels that lie beside each other in a blocked layout.
 */
import type { MaxPoolAttributes } from '../graph/ops/pool.js';
import { type Emitter, f } from './emitter.js';

export interface PooledMap {
  /** Batch and channels, or blocks of channels. */
  readonly images: readonly [number, number];
  /** [H, W] of the input and of the pooled map. */
  readonly size: readonly [number, number];
  readonly pooled: readonly [number, number];
  /** b */
  readonly block: number;
}

/** Below any maximum, and finite: its difference to one must be a number. */
const NEVER = -3e38;

/**
 * @param inputs names of cotangent, x and y as [N, C, H, W, b]
 * @returns name of the cotangent of x as [N, C, H, W, b]
 */
export function maxPoolGrad(
  emit: Emitter,
  map: PooledMap,
  attributes: MaxPoolAttributes,
  [cotangent, x, y]: readonly [string, string, string],
): string {
  return new MaxPoolGradWriter(emit, map, attributes).write(cotangent, x, y);
}

class MaxPoolGradWriter {
  /** [H, W] of the padded map, filled up to whole phases for all windows. */
  private readonly padded: readonly [number, number];

  constructor(
    private readonly emit: Emitter,
    private readonly map: PooledMap,
    private readonly attributes: MaxPoolAttributes,
  ) {
    const { kernel, strides, pads } = attributes;
    const along = (axis: 0 | 1): number => {
      const read = (map.pooled[axis] - 1) * strides[axis] + kernel[axis];
      return Math.ceil(Math.max(read, pads[axis] + map.size[axis]) / strides[axis]) * strides[axis];
    };
    this.padded = [along(0), along(1)];
  }

  write(cotangent: string, x: string, y: string): string {
    const { kernel, strides } = this.attributes;
    const source = this.pad(x);
    /** By phase, what its taps took, in the phase's own places. */
    const phases = new Map<string, string>();
    let left = cotangent;
    for (let row = 0; row < kernel[0]; row++) {
      for (let column = 0; column < kernel[1]; column++) {
        const taken = this.emit.op('Mul', [left, this.isMaximum(source, y, row, column)]);
        const isLast = row === kernel[0] - 1 && column === kernel[1] - 1;
        if (!isLast) left = this.emit.op('Sub', [left, taken]);
        const key = `${row % strides[0]},${column % strides[1]}`;
        const moved = this.moved(taken, Math.floor(row / strides[0]), Math.floor(column / strides[1]));
        const sum = phases.get(key);
        phases.set(key, sum === undefined ? moved : this.emit.op('Add', [sum, moved]));
      }
    }
    return this.unpad(this.interleave(phases));
  }

  /** Fills with what is no maximum; cuts off what no window reads. */
  private pad(x: string): string {
    const { pads } = this.attributes;
    const { size } = this.map;
    const after = [this.padded[0] - pads[0] - size[0], this.padded[1] - pads[1] - size[1]] as const;
    if (![...pads.slice(0, 2), ...after].some((amount) => amount > 0)) return x;
    const amounts = [0, 0, pads[0], pads[1], 0, 0, 0, after[0], after[1], 0];
    return this.emit.op('Pad', [x, this.emit.ints(amounts), this.emit.floats([NEVER], [])]);
  }

  /** 1 where a tap equals the window's maximum, else 0: a very steep hard sigmoid of their difference, which is 0 or negative. */
  private isMaximum(source: string, y: string, row: number, column: number): string {
    const { emit } = this;
    const { strides } = this.attributes;
    const { pooled } = this.map;
    const start = [row, column];
    const end = start.map((first, axis) => first + (pooled[axis]! - 1) * strides[axis]! + 1);
    const [starts, ends] = [emit.ints(start), emit.ints(end)];
    const tap = emit.op('Slice', [source, starts, ends, emit.ints([2, 3]), emit.ints([...strides])]);
    return emit.op('HardSigmoid', [emit.op('Sub', [tap, y])], { alpha: f(3e38), beta: f(1) });
  }

  /** Puts what a tap took into its phase, `down` rows and `right` columns on. */
  private moved(taken: string, down: number, right: number): string {
    const { strides } = this.attributes;
    const { pooled } = this.map;
    const below = this.padded[0] / strides[0] - pooled[0] - down;
    const beside = this.padded[1] / strides[1] - pooled[1] - right;
    const amounts = [0, 0, down, right, 0, 0, 0, below, beside, 0];
    return amounts.some((amount) => amount > 0) ? this.emit.op('Pad', [taken, this.emit.ints(amounts)]) : taken;
  }

  /** Position stride·i + phase takes element i of the phase, along both axes. */
  private interleave(phases: ReadonlyMap<string, string>): string {
    const { emit } = this;
    const { strides } = this.attributes;
    const { images, block } = this.map;
    const [height, width] = [this.padded[0] / strides[0], this.padded[1] / strides[1]];
    const joined = (parts: readonly string[]): string =>
      parts.length === 1 ? parts[0]! : emit.op('Concat', parts, { axis: 2 });
    const view = (value: string, shape: readonly number[]): string => emit.op('Reshape', [value, emit.ints(shape)]);
    const lines = Array.from({ length: strides[0] }, (_, row) => {
      const columns = Array.from({ length: strides[1] }, (_, column) =>
        view(phases.get(`${row},${column}`)!, [images[0] * images[1] * height, width, 1, block]),
      );
      return view(joined(columns), [images[0] * images[1], height, 1, this.padded[1] * block]);
    });
    return view(joined(lines), [...images, ...this.padded, block]);
  }

  private unpad(value: string): string {
    const { emit } = this;
    const { size } = this.map;
    const [top, left] = this.attributes.pads;
    if (this.padded[0] === size[0] && this.padded[1] === size[1]) return value;
    const ends = emit.ints([top + size[0], left + size[1]]);
    return emit.op('Slice', [value, emit.ints([top, left]), ends, emit.ints([2, 3])]);
  }
}
