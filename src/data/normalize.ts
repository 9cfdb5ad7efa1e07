/** Normalisation of pixel values, by table. */
import type { DataConfig } from '../recipe/types.js';

/**
 * For each channel, the normalised value (x/255 - mean)/std of every pixel value x, computed in double precision and rounded
 * once. One mean or std serves all channels.
 */
export function normalizeTables({ mean, std }: DataConfig['normalize'], channels: number): Float32Array[] {
  const of = (values: readonly number[], channel: number) => values[values.length === 1 ? 0 : channel] as number;
  return Array.from({ length: channels }, (_, channel) =>
    Float32Array.from({ length: 256 }, (_, value) => (value / 255 - of(mean, channel)) / of(std, channel)),
  );
}
