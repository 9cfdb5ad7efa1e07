/** What data sets are, known by their names before any file is read. */
import { InputError } from '../errors.js';
import { isEncoded } from '../recipe/data-defaults.js';
import type { MemoryDatasetName, Recipe } from '../recipe/types.js';
import { checkClasses, checkConfig, checkEncodedConfig } from './checks.js';
import type { Dataset } from './dataset.js';

type Facts = Pick<Dataset, 'classes' | 'image'> & { readonly train: number };

const facts: Readonly<Record<MemoryDatasetName, Facts>> = {
  digits: { image: [1, 8, 8], classes: 10, train: 1437 },
  mnist: { image: [1, 28, 28], classes: 10, train: 60_000 },
  'fashion-mnist': { image: [1, 28, 28], classes: 10, train: 60_000 },
  cifar10: { image: [3, 32, 32], classes: 10, train: 50_000 },
  cifar100: { image: [3, 32, 32], classes: 100, train: 50_000 },
  svhn: { image: [3, 32, 32], classes: 10, train: 73_257 },
  stl10: { image: [3, 96, 96], classes: 10, train: 5000 },
};

/**
 * Whether a recipe's network and batch fit its data set: checks that do not depend on each other.
 * @returns each throws InputError, as `checkConfig` and `checkClasses`; `DATA_BATCH` where a batch is larger than the set
 */
export function dataChecks({ network, data }: Recipe): (() => void)[] {
  const name = data.dataset;
  if (isEncoded(name)) return [() => checkEncodedConfig(name, data, network.image)]; // the rest is known by its files only
  const { image, classes, train } = facts[name];
  return [
    () => checkConfig({ name, image }, data, network.image),
    () => checkClasses({ name, classes }, network.classes),
    () => checkBatch(data.batch, name, train),
  ];
}

function checkBatch(batch: number, name: MemoryDatasetName, train: number): void {
  if (batch <= train) return;
  throw new InputError('DATA_BATCH', `data.batch is ${batch}; allowed: 1 to ${train}, the images of ${name}`);
}
