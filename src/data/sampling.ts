/** Crops from a padded copy and flips, as tables of indices, drawn at random. */
import { UsageError } from '../errors.js';
import type { Random } from '../random.js';
import type { DataConfig } from '../recipe/types.js';
import { axisSources, type Axis, type AxisSources } from './geometry.js';

/** How one image is cropped and flipped: the stored rows and columns behind the prepared ones. */
export interface Sampling {
  readonly rows: AxisSources;
  readonly columns: AxisSources;
}

/** All that crop and flip can do to images of one size. */
export class Samplings {
  /** For each offset of the crop. */
  private readonly rows: AxisSources[];
  private readonly columns: { readonly straight: AxisSources; readonly flipped: AxisSources }[];
  private readonly flips: boolean;

  /**
   * @param stored [height, width] of the images
   * @param size [height, width] that the network takes
   * @param augment null: no crop and no flip
   */
  constructor(
    stored: readonly [number, number],
    size: readonly [number, number],
    augment: Pick<DataConfig['augment'], 'crop' | 'flip'> | null,
  ) {
    const { pad, mode } = augment?.crop ?? { pad: 0, mode: 'zero' };
    const axis = (i: 0 | 1): Axis => ({ stored: stored[i], size: size[i], pad, mode });
    const offsets = Array.from({ length: 2 * pad + 1 }, (_, offset) => offset);
    this.rows = offsets.map((offset) => axisSources(axis(0), offset, false));
    this.columns = offsets.map((offset) => ({
      straight: axisSources(axis(1), offset, false),
      flipped: axisSources(axis(1), offset, true),
    }));
    this.flips = augment?.flip ?? false;
  }

  /** Whether there is nothing to draw: no crop, no flip. */
  get fixed(): boolean {
    return this.rows.length === 1 && !this.flips;
  }

  /** Draws rows, columns, and then whether to flip. */
  draw(random: Random): Sampling {
    const crops = this.rows.length;
    return this.pick(random.int(crops), random.int(crops), this.flips && random.int(2) === 1);
  }

  /** Top left of the padded image, straight: the only one where `fixed`. */
  first(): Sampling {
    return this.pick(0, 0, false);
  }

  private pick(top: number, left: number, flip: boolean): Sampling {
    const rows = this.rows[top];
    const columns = this.columns[left]?.[flip ? 'flipped' : 'straight'];
    if (rows === undefined || columns === undefined) throw new UsageError('DATA_CROP', `no crop at ${top}, ${left}`);
    return { rows, columns };
  }
}
