/** Where each pixel of a prepared image comes from, one axis at a time: crop, flip and centring as tables of indices. */

/** One axis of an image on its way from the file to the network. */
export interface Axis {
  /** Pixels in the file. */
  readonly stored: number;
  /** Pixels that the network takes; the stored ones are centred among them (the odd one goes to the far side). */
  readonly size: number;
  /** Pixels added at both ends before the crop. */
  readonly pad: number;
  readonly mode: 'zero' | 'reflect';
}

/** Where the pixels along one axis of a prepared image come from. Positions that are not named are black. */
export interface AxisSources {
  /** Prepared indices that show a stored pixel, ascending. */
  readonly positions: Int32Array;
  /** The stored index behind each of them. */
  readonly sources: Int32Array;
}

/**
 * @param offset where the crop starts in the padded image: 0 … 2·pad
 * @param flip whether the crop is then reversed
 */
export function axisSources(axis: Axis, offset: number, flip: boolean): AxisSources {
  const { size, stored } = axis;
  const margin = Math.floor((size - stored) / 2);
  const positions: number[] = [];
  const sources: number[] = [];
  for (let position = 0; position < size; position++) {
    const inCrop = flip ? size - 1 - position : position;
    const inImage = unpad(inCrop + offset - axis.pad, axis);
    const source = inImage === null ? -1 : inImage - margin;
    if (source < 0 || source >= stored) continue;
    positions.push(position);
    sources.push(source);
  }
  return { positions: Int32Array.from(positions), sources: Int32Array.from(sources) };
}

/** The index in the image behind one that may lie in the padding: null for zeros. Reflection does not repeat the edge. */
function unpad(index: number, { size, mode }: Axis): number | null {
  if (index >= 0 && index < size) return index;
  if (mode === 'zero') return null;
  return index < 0 ? -index : 2 * (size - 1) - index;
}
