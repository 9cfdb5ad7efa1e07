/** Both splits of a recipe's data set, checked against the recipe. */
import { createHash } from 'node:crypto';
import { checkClasses } from '../data/checks.js';
import { loadDataset } from '../data/load.js';
import { Loader } from '../data/loader.js';
import type { Recipe } from '../recipe/types.js';
import { evaluationLoader } from './evaluate.js';

export interface TrainingData {
  readonly train: Loader;
  readonly test: Loader;
  readonly trainImages: number;
  readonly testImages: number;
  /** SHA-256 of pixels and labels of the training images. */
  readonly hash: string;
}

/**
 * @param path folder of the data set's files, where they are not bundled
 * @throws InputError as `loadDataset` and `Loader`; `DATA_CLASSES` if the network has another number of classes
 */
export async function loadTrainingData(recipe: Recipe, path?: string): Promise<TrainingData> {
  const { data, network, seed } = recipe;
  const train = await loadDataset(data.dataset, 'train', path);
  const test = await loadDataset(data.dataset, 'test', path);
  checkClasses(train, network.classes);
  return {
    train: new Loader(train, data, network.image, { seed, train: true }),
    test: evaluationLoader(test, data, network.image),
    trainImages: train.count,
    testImages: test.count,
    hash: createHash('sha256').update(train.pixels).update(train.labels).digest('hex'),
  };
}
