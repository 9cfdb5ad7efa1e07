/** A data set from the contents of files of MNIST's kind. */
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import type { Dataset } from './dataset.js';
import { decodeIdx } from './idx.js';
import { checkLabels } from './labels.js';

/** The content of an idx file, uncompressed. */
export interface IdxContent {
  readonly bytes: Uint8Array;
  /** The file's name, for errors. */
  readonly where: string;
}

const CLASSES = 10;

/**
 * One split: images in three dimensions, [count, height, width], and a label for each. The pixels are not copied.
 * @param name of the data set
 * @throws InputError `DATASET_COUNTS`, `DATASET_EMPTY`, `DATASET_LABEL`, or as `decodeIdx`
 */
export function idxDataset(
  name: string,
  split: 'train' | 'test',
  imagesFile: IdxContent,
  labelsFile: IdxContent,
): Dataset {
  const images = decodeIdx(imagesFile.bytes, 3, imagesFile.where);
  const labels = decodeIdx(labelsFile.bytes, 1, labelsFile.where);
  const [imagesAt, labelsAt] = [printable(imagesFile.where), printable(labelsFile.where)];
  const [count, height, width] = images.shape as [number, number, number];
  if (images.elements.length === 0) {
    throw new InputError('DATASET_EMPTY', `${imagesAt}: holds ${images.shape.join(' × ')} pixels: none`);
  }
  const labelCount = labels.elements.length;
  if (labelCount !== count) {
    const found = `${labelsAt} has ${labelCount} labels, but ${imagesAt} has ${count} images`;
    throw new InputError('DATASET_COUNTS', found);
  }
  checkLabels(labels.elements, CLASSES, (i) => `${labelsAt}: image ${i}, byte ${labels.offset + i}`);
  return {
    name,
    split,
    classes: CLASSES,
    image: [1, height, width],
    count,
    pixels: images.elements,
    labels: labels.elements,
  };
}
