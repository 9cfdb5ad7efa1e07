/** Data sets in the files of MNIST: one of images and one of labels for each split. */
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import type { Dataset } from './dataset.js';
import { readIdx, type IdxTensor } from './idx.js';
import { checkLabels } from './labels.js';
import { locate } from './locate.js';

/** Where a data set of this kind is, and how to speak of it. */
export interface IdxSource {
  readonly name: string;
  readonly root: string;
  /** Where to look under the root, `.` for the root itself. */
  readonly folders: readonly string[];
  /** What to do if it is not there. */
  readonly remedy: string;
}

const CLASSES = 10;
/** How the files of each split begin. */
const prefixes = { train: 'train', test: 't10k' } as const;

/**
 * Reads `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` or their `t10k` twins, with or without `.gz`. Images are
 * grey, [1, height, width].
 * @throws InputError `DATASET_MISSING`, `DATASET_COUNTS`, `DATASET_EMPTY`, `DATASET_LABEL`, or as `readIdx`
 */
export async function readIdxDataset(source: IdxSource, split: 'train' | 'test'): Promise<Dataset> {
  const imagesPath = await find(source, `${prefixes[split]}-images-idx3-ubyte`);
  const labelsPath = await find(source, `${prefixes[split]}-labels-idx1-ubyte`);
  const images = await readIdx(imagesPath, 3);
  const labels = await readIdx(labelsPath, 1);
  const [count, height, width] = images.shape as [number, number, number];
  if (images.elements.length === 0) {
    throw new InputError('DATASET_EMPTY', `${printable(imagesPath)}: holds ${images.shape.join(' × ')} pixels: none`);
  }
  checkCounts(imagesPath, count, labelsPath, labels);
  checkLabels(labels.elements, CLASSES, (i) => `${printable(labelsPath)}: image ${i}, byte ${labels.offset + i}`);
  return {
    name: source.name,
    split,
    classes: CLASSES,
    image: [1, height, width],
    count,
    pixels: images.elements,
    labels: labels.elements,
  };
}

function find({ name: dataset, root, folders, remedy }: IdxSource, name: string): Promise<string> {
  return locate(root, { dataset, folders, names: [`${name}.gz`, name], remedy });
}

function checkCounts(imagesPath: string, count: number, labelsPath: string, labels: IdxTensor): void {
  const labelCount = labels.elements.length;
  if (labelCount === count) return;
  const found = `${printable(labelsPath)} has ${labelCount} labels, but ${printable(imagesPath)} has ${count} images`;
  throw new InputError('DATASET_COUNTS', found);
}
