/** STL-10 in its binary version (https://cs.stanford.edu/~acoates/stl10/): images of 3 × 96 × 96 bytes, each channel column by column. */
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { readFileBytes } from '../files/read.js';
import type { Dataset } from './dataset.js';
import { locate } from './locate.js';
import { transposePlanes } from './planes.js';

const SIDE = 96;
const IMAGE = [3, SIDE, SIDE] as const;
const BYTES = 3 * SIDE * SIDE;
const CLASSES = 10;
/** `test_X.bin`, the larger of the two that are read, has 221 MB. */
const MAX_BYTES = 2 ** 28;

/**
 * Reads `train_X.bin` and `train_y.bin`, or `test_X.bin` and `test_y.bin`. Labels 1 … 10 are classes 0 … 9.
 * @throws InputError `DATASET_MISSING`, `DATASET_TRUNCATED`, `DATASET_COUNTS`, `DATASET_EMPTY`, `DATASET_LABEL`, or as `readFileBytes`
 */
export async function readStl10(root: string, split: 'train' | 'test'): Promise<Dataset> {
  const imagesPath = await find(root, `${split}_X.bin`);
  const labelsPath = await find(root, `${split}_y.bin`);
  const pixels = await readFileBytes(imagesPath, MAX_BYTES);
  const count = countImages(pixels.length, printable(imagesPath));
  const labels = decodeLabels(await readFileBytes(labelsPath, MAX_BYTES), printable(labelsPath));
  if (labels.length !== count) {
    const found = `${printable(labelsPath)} has ${labels.length} labels, but ${printable(imagesPath)} has ${count} images`;
    throw new InputError('DATASET_COUNTS', found);
  }
  transposePlanes(pixels, SIDE);
  return { name: 'stl10', split, classes: CLASSES, image: IMAGE, count, pixels, labels };
}

function find(root: string, name: string): Promise<string> {
  const remedy = 'unpack stl10_binary.tar.gz (https://cs.stanford.edu/~acoates/stl10/) and give its folder by --data';
  return locate(root, { dataset: 'stl10', names: [name], folders: ['.', 'stl10_binary'], remedy });
}

function countImages(bytes: number, file: string): number {
  const count = Math.floor(bytes / BYTES);
  if (bytes === 0) throw new InputError('DATASET_EMPTY', `${file}: is empty`);
  if (count * BYTES === bytes) return count;
  throw new InputError(
    'DATASET_TRUNCATED',
    `${file}: ends at byte ${bytes}, within the image that starts at byte ${count * BYTES}; an image has ${BYTES} bytes`,
  );
}

function decodeLabels(labels: Uint8Array, file: string): Uint8Array {
  const wrong = labels.findIndex((label) => label < 1 || label > CLASSES);
  if (wrong < 0) return labels.map((label) => label - 1);
  throw new InputError('DATASET_LABEL', `${file}: image ${wrong}: label ${labels[wrong]}; allowed: 1 to ${CLASSES}`);
}
