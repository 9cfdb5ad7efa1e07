/** Data sets by name. */
import { fileURLToPath } from 'node:url';
import { InputError } from '../errors.js';
import type { DatasetName, MemoryDatasetName } from '../recipe/types.js';
import { cifar10, cifar100, readCifar } from './cifar.js';
import type { Dataset } from './dataset.js';
import { readIdxDataset } from './mnist.js';
import { readStl10 } from './stl10.js';
import { readSvhn } from './svhn.js';

/** Where the data sets in MNIST's format are. `root: null`: only the user knows. */
const idxSources = {
  digits: {
    root: fileURLToPath(new URL('../../data/digits/', import.meta.url)), // the same from src/data/ and from dist/data/
    folders: ['.', 'digits'],
    remedy: 'leave --data away to use the bundled files',
  },
  'fashion-mnist': {
    root: '/usr/share/datasets/fashion-mnist', // of Debian's package
    folders: ['.', 'FashionMNIST/raw'],
    remedy: 'install it (apt-get install dataset-fashion-mnist) or give its folder by --data',
  },
  mnist: { root: null, folders: ['.', 'MNIST/raw'], remedy: 'give the folder with the idx files by --data' },
} as const;

const cifarLayouts = { cifar10, cifar100 } as const;

/** Whether a data set can be read without the user naming a folder: bundled, or found where Debian puts it. */
export function hasDefaultFolder(name: DatasetName): boolean {
  return name in idxSources && idxSources[name as keyof typeof idxSources].root !== null;
}

/**
 * Reads one split of a data set into memory.
 *
 * | name | images | train, test | files |
 * |---|---|---|---|
 * | `digits` | 1×8×8 | 1437, 360 | bundled |
 * | `mnist` | 1×28×28 | 60 000, 10 000 | idx, gzipped or not |
 * | `fashion-mnist` | 1×28×28 | 60 000, 10 000 | the same; found by itself where Debian puts it |
 * | `cifar10`, `cifar100` | 3×32×32 | 50 000, 10 000 | binary version |
 * | `svhn` | 3×32×32 | 73 257, 26 032 | cropped digits, MAT-files |
 * | `stl10` | 3×96×96 | 5000, 8000 | binary version |
 *
 * @param path folder with the files; needed but for `digits` and `fashion-mnist`
 * @throws InputError `DATASET_MISSING` with the remedy; `DATASET_TRUNCATED`, `DATASET_TRAILING_BYTES`, `DATASET_FORMAT`,
 * `DATASET_COUNTS`, `DATASET_EMPTY`, `DATASET_LABEL` with file and byte; or as `readFileBytes`, `gunzipBounded` and `inflateSized`
 */
export async function loadDataset(name: MemoryDatasetName, split: 'train' | 'test', path?: string): Promise<Dataset> {
  if (name === 'cifar10' || name === 'cifar100') return readCifar(cifarLayouts[name], requirePath(name, path), split);
  if (name === 'svhn') return readSvhn(requirePath(name, path), split);
  if (name === 'stl10') return readStl10(requirePath(name, path), split);
  const source = idxSources[name];
  return readIdxDataset({ ...source, name, root: path ?? source.root ?? requirePath(name, path) }, split);
}

/** @throws InputError `DATASET_MISSING` */
export function requirePath(name: DatasetName, path: string | undefined): string {
  if (path !== undefined) return path;
  throw new InputError('DATASET_MISSING', `${name}: its files are not bundled; give their folder by --data`);
}
