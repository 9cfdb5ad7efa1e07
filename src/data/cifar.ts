/**
 * CIFAR-10 and CIFAR-100 in their binary versions (https://www.cs.toronto.edu/~kriz/cifar.html): records of label bytes
 * and 3 × 32 × 32 pixels.
 */
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { readFileBytes } from '../files/read.js';
import type { Dataset } from './dataset.js';
import { checkLabels } from './labels.js';
import { isFile, locate, type Wanted } from './locate.js';

/** How one of the data sets is laid out. */
interface Layout {
  readonly name: 'cifar10' | 'cifar100';
  /** The folder that the archive unpacks to. */
  readonly folder: string;
  readonly files: { readonly train: readonly string[]; readonly test: readonly string[] };
  /** Number of classes of each label byte of a record. The last byte is the label that is used. */
  readonly classes: readonly number[];
}

export const cifar10: Layout = {
  name: 'cifar10',
  folder: 'cifar-10-batches-bin',
  files: { train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`), test: ['test_batch.bin'] },
  classes: [10],
};

/** Records have a coarse label (superclass) before the fine one. */
export const cifar100: Layout = {
  name: 'cifar100',
  folder: 'cifar-100-binary',
  files: { train: ['train.bin'], test: ['test.bin'] },
  classes: [20, 100],
};

const IMAGE = [3, 32, 32] as const;
const PIXELS = 3 * 32 * 32;
/** A file of the real data sets has at most 50 000 records: 154 MB. */
const MAX_FILE_BYTES = 2 ** 28;

interface Records {
  readonly pixels: Uint8Array;
  readonly labels: Uint8Array;
}

/**
 * Reads one split from the files in `root` or in the archive's own folder below it.
 * @throws InputError `DATASET_MISSING`, or as `readFileBytes` and `decodeCifar`
 */
export async function readCifar(layout: Layout, root: string, split: 'train' | 'test'): Promise<Dataset> {
  const parts: Records[] = [];
  for (const name of layout.files[split]) {
    const path = await locate(root, await wanted(layout, root, name));
    parts.push(decodeCifar(layout, await readFileBytes(path, MAX_FILE_BYTES), path));
  }
  const labels = Buffer.concat(parts.map((part) => part.labels));
  return {
    name: layout.name,
    split,
    classes: layout.classes.at(-1) ?? 0,
    image: IMAGE,
    count: labels.length,
    pixels: Buffer.concat(parts.map((part) => part.pixels)),
    labels,
  };
}

/**
 * Takes the records of one file apart.
 * @param where the file's name, for errors
 * @throws InputError `DATASET_TRUNCATED` (not whole records), `DATASET_EMPTY`, `DATASET_LABEL`
 */
export function decodeCifar(layout: Layout, bytes: Uint8Array, where: string): Records {
  const file = printable(where);
  const labelBytes = layout.classes.length;
  const record = labelBytes + PIXELS;
  const count = Math.floor(bytes.length / record);
  if (bytes.length === 0) throw new InputError('DATASET_EMPTY', `${file}: is empty`);
  if (count * record !== bytes.length) {
    throw new InputError(
      'DATASET_TRUNCATED',
      `${file}: ends at byte ${bytes.length}, within the record that starts at byte ${count * record}; ` +
        `a ${layout.name} record has ${record} bytes`,
    );
  }
  layout.classes.forEach((classes, i) => {
    const column = Uint8Array.from({ length: count }, (_, n) => bytes[n * record + i] ?? 0);
    checkLabels(column, classes, (n) => `${file}: image ${n}, byte ${n * record + i}`);
  });
  const pixels = new Uint8Array(count * PIXELS);
  const labels = new Uint8Array(count);
  for (let n = 0; n < count; n++) {
    const start = n * record + labelBytes;
    labels[n] = bytes[start - 1] ?? 0;
    pixels.set(bytes.subarray(start, start + PIXELS), n * PIXELS);
  }
  return { pixels, labels };
}

async function wanted(layout: Layout, root: string, name: string): Promise<Wanted> {
  const folders = ['.', layout.folder];
  const python = layout.name === 'cifar10' ? 'data_batch_1' : 'train';
  const pythonFolders = [root, join(root, layout.name === 'cifar10' ? 'cifar-10-batches-py' : 'cifar-100-python')];
  const isPython = (await Promise.all(pythonFolders.map((folder) => isFile(join(folder, python))))).some(Boolean);
  const remedy = isPython
    ? 'the files there are the Python version: get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html'
    : 'unpack the binary version (https://www.cs.toronto.edu/~kriz/cifar.html) and give its folder by --data';
  return { dataset: layout.name, names: [name], folders, remedy };
}
