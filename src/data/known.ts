/** What data sets are, known by their names before any file is read. */
import { InputError } from '../errors.js';
import type { DatasetName, Recipe } from '../recipe/types.js';
import { checkClasses, checkConfig } from './checks.js';
import type { Dataset } from './dataset.js';

type Facts = Pick<Dataset, 'classes' | 'image'> & { readonly train: number };

const facts: Readonly<Record<DatasetName, Facts>> = {
  digits: { image: [1, 8, 8], classes: 10, train: 1437 },
  mnist: { image: [1, 28, 28], classes: 10, train: 60_000 },
  'fashion-mnist': { image: [1, 28, 28], classes: 10, train: 60_000 },
  cifar10: { image: [3, 32, 32], classes: 10, train: 50_000 },
  cifar100: { image: [3, 32, 32], classes: 100, train: 50_000 },
};

/**
 * Whether a recipe's network and batch fit its data set.
 *
 * @throws InputError as `checkConfig` and `checkClasses`; `DATA_BATCH` where a batch is larger than the set
 */
export function checkDataOf({ network, data }: Recipe): void {
  const name = data.dataset;
  const { image, classes, train } = facts[name];
  checkConfig({ name, image }, data, network.image);
  checkClasses({ name, classes }, network.classes);
  if (data.batch > train) {
    throw new InputError('DATA_BATCH', `data.batch is ${data.batch}; allowed: 1 to ${train}, the images of ${name}`);
  }
}
