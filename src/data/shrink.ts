/** Images made smaller by whole factors: the mean of each cell of pixels, for experiments that cost less. */
import type { Dataset } from './dataset.js';

/**
 * Every `factor` × `factor` cell of pixels becomes one, their mean rounded to 8 bits (a half upwards).
 *
 * @param factor divides height and width; 1 leaves the images as they are
 */
export function shrinkImages(dataset: Dataset, factor: number): Dataset {
  if (factor === 1) return dataset;
  const [channels, height, width] = dataset.image;
  const image = [channels, height / factor, width / factor] as const;
  const planes = dataset.count * channels;
  const pixels = new Uint8Array(planes * image[1] * image[2]);
  const rowSums = new Uint32Array(image[2]);
  let to = 0;
  for (let row = 0; row < planes * image[1]; row++) {
    rowSums.fill(0);
    for (let y = 0; y < factor; y++) {
      const from = (row * factor + y) * width;
      for (let x = 0; x < width; x++) rowSums[Math.floor(x / factor)]! += dataset.pixels[from + x]!;
    }
    for (const sum of rowSums) pixels[to++] = Math.floor(sum / factor ** 2 + 0.5);
  }
  return { ...dataset, image, pixels };
}
