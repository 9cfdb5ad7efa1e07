/** SVHN, cropped digits (http://ufldl.stanford.edu/housenumbers/): MAT-files of X, 32 × 32 × 3 × N bytes, and y, classes 1 … 10. */
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { readFileBytes } from '../files/read.js';
import type { Dataset } from './dataset.js';
import { locate } from './locate.js';
import { type MatArray, numbersOf } from './mat/matrix.js';
import { decodeMat } from './mat/read.js';
import { transposePlanes } from './planes.js';

const SIDE = 32;
const IMAGE = [3, SIDE, SIDE] as const;
const CLASSES = 10;
/** The largest file, `extra_32x32.mat`, has 1.3 GB; the two that are read have at most 182 MB. */
const MAX_BYTES = 2 ** 29;

/**
 * Reads `train_32x32.mat` or `test_32x32.mat`. The digit 0, which the files call 10, is class 0.
 * @throws InputError `DATASET_MISSING`, `DATASET_COUNTS`, `DATASET_EMPTY`, `DATASET_LABEL`, or as `readFileBytes` and `decodeMat`
 */
export async function readSvhn(root: string, split: 'train' | 'test'): Promise<Dataset> {
  const path = await locate(root, {
    dataset: 'svhn',
    names: [`${split}_32x32.mat`],
    folders: ['.', 'svhn', 'SVHN'],
    remedy:
      'get the cropped digits (format 2) from http://ufldl.stanford.edu/housenumbers/ and give their folder by --data',
  });
  return {
    name: 'svhn',
    split,
    classes: CLASSES,
    image: IMAGE,
    ...(await decodeSvhn(await readFileBytes(path, MAX_BYTES), path)),
  };
}

/**
 * @param bytes of the file; may be changed
 * @param where the file's name, for errors
 */
export async function decodeSvhn(
  bytes: Uint8Array,
  where: string,
): Promise<Pick<Dataset, 'count' | 'pixels' | 'labels'>> {
  const file = printable(where);
  const { X, y } = await decodeMat(bytes, where, ['X', 'y'], MAX_BYTES);
  const count = countImages(X, file);
  const labels = decodeLabels(y, count, file);
  transposePlanes(X.data, SIDE);
  return { count, pixels: X.data, labels };
}

function countImages({ dims, stored }: MatArray, file: string): number {
  const [height, width, channels, count = 1, ...more] = dims;
  const fits = height === SIDE && width === SIDE && channels === 3 && more.length === 0 && stored === 'uint8';
  if (!fits) {
    const found = `X is ${dims.join(' × ')} of type ${stored}`;
    throw new InputError('DATASET_FORMAT', `${file}: ${found}; allowed: ${SIDE} × ${SIDE} × 3 × N of type uint8`);
  }
  if (count > 0) return count;
  throw new InputError('DATASET_EMPTY', `${file}: X is ${dims.join(' × ')}: no images`);
}

function decodeLabels(y: MatArray, count: number, file: string): Uint8Array {
  const [rows = 0, columns = 0, ...more] = y.dims;
  if ((rows !== 1 && columns !== 1) || more.length > 0) {
    throw new InputError('DATASET_FORMAT', `${file}: y is ${y.dims.join(' × ')}; allowed: N × 1`);
  }
  if (rows * columns !== count) {
    throw new InputError('DATASET_COUNTS', `${file}: y has ${rows * columns} labels, but X has ${count} images`);
  }
  const labels = numbersOf(y);
  const wrong = labels.findIndex((label) => !Number.isInteger(label) || label < 1 || label > CLASSES);
  if (wrong < 0) return Uint8Array.from(labels, (label) => label % CLASSES);
  throw new InputError(
    'DATASET_LABEL',
    `${file}: image ${wrong}: label ${labels[wrong]}; allowed: 1 to ${CLASSES} (10 is the digit 0)`,
  );
}
