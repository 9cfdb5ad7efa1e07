/** A few images of a data set, drawn once and without regard to their order. */
import { InputError } from '../errors.js';
import { elementCount } from '../files/tensor.js';
import { Random } from '../random.js';
import type { DataConfig } from '../recipe/types.js';
import { type AnyDataset, type Dataset, isInMemory, type Labels } from './dataset.js';

/**
 * @param count at most so many images
 * @returns the data set itself where it has no more
 */
export function sampleOf(dataset: Dataset, count: number, seed: number): Dataset;
export function sampleOf(dataset: AnyDataset, count: number, seed: number): AnyDataset;
export function sampleOf(dataset: AnyDataset, count: number, seed: number): AnyDataset {
  if (dataset.count <= count) return dataset;
  const images = shuffled(dataset.count, new Random(seed, 'sample')).subarray(0, count).sort();
  const { name, split, classes } = dataset;
  const info = { name, split, classes, count };
  if (isInMemory(dataset))
    return { ...info, image: dataset.image, pixels: pixelsOf(dataset, images), labels: pick(dataset.labels, images) };
  return {
    ...info,
    labels: pick(dataset.labels, images),
    fingerprint: dataset.fingerprint,
    order: (random) => shuffled(count, random),
    read: (index) => dataset.read(images[index]!),
  };
}

/** Of the images that `data.trainImages` draws: runs of several seeds train on the same ones. */
const SUBSET_SEED = 0;

/**
 * The images to train on: all, or as many as `data.trainImages` says.
 * @throws InputError `DATA_TRAIN_IMAGES` if there are not as many
 */
export function trainingSubset(dataset: Dataset, config: DataConfig): Dataset;
export function trainingSubset(dataset: AnyDataset, config: DataConfig): AnyDataset;
export function trainingSubset(dataset: AnyDataset, { trainImages }: DataConfig): AnyDataset {
  if (trainImages === undefined) return dataset;
  if (trainImages > dataset.count) {
    const found = `data.trainImages is ${trainImages}, but ${dataset.name} has ${dataset.count} training images`;
    throw new InputError('DATA_TRAIN_IMAGES', `${found}; allowed: 1 to ${dataset.count}`);
  }
  return sampleOf(dataset, trainImages, SUBSET_SEED);
}

function shuffled(count: number, random: Random): Uint32Array {
  return random.shuffle(Uint32Array.from({ length: count }, (_, i) => i));
}

/** Into memory of its own: the labels may be a Buffer, whose slices are not. */
function pick<T extends Labels>(labels: T, images: Uint32Array): T {
  const own = labels instanceof Uint16Array ? new Uint16Array(images.length) : new Uint8Array(images.length);
  images.forEach((image, i) => (own[i] = labels[image]!));
  return own as T;
}

function pixelsOf({ pixels, image }: Dataset, images: Uint32Array): Uint8Array {
  const size = elementCount(image);
  const picked = new Uint8Array(images.length * size);
  images.forEach((from, i) => picked.set(pixels.subarray(from * size, (from + 1) * size), i * size));
  return picked;
}
