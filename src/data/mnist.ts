/** Data sets in the files of MNIST: one of images and one of labels for each split. */
import type { Dataset } from './dataset.js';
import { idxDataset } from './idx-dataset.js';
import { locate } from './locate.js';
import { readIdx } from './read-idx.js';

/** Where a data set of this kind is, and how to speak of it. */
export interface IdxSource {
  readonly name: string;
  readonly root: string;
  /** Where to look under the root, `.` for the root itself. */
  readonly folders: readonly string[];
  /** What to do if it is not there. */
  readonly remedy: string;
}

/** How the files of each split begin. */
const prefixes = { train: 'train', test: 't10k' } as const;

/**
 * Reads `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` or their `t10k` twins, with or without `.gz`. Images are
 * grey, [1, height, width].
 * @throws InputError `DATASET_MISSING`, or as `readIdx` and `idxDataset`
 */
export async function readIdxDataset(source: IdxSource, split: 'train' | 'test'): Promise<Dataset> {
  const images = await readIdx(await find(source, `${prefixes[split]}-images-idx3-ubyte`));
  const labels = await readIdx(await find(source, `${prefixes[split]}-labels-idx1-ubyte`));
  return idxDataset(source.name, split, images, labels);
}

function find({ name: dataset, root, folders, remedy }: IdxSource, name: string): Promise<string> {
  return locate(root, { dataset, folders, names: [`${name}.gz`, name], remedy });
}
