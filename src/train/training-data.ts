/** Both splits of a recipe's data set, checked against the recipe. */
import { createHash } from 'node:crypto';
import type { BatchSource } from '../data/batches.js';
import { checkClasses } from '../data/checks.js';
import { type AnyDataset, isInMemory } from '../data/dataset.js';
import { createLoader, openDataset } from '../data/open.js';
import { sampleOf, trainingSubset } from '../data/sample.js';
import type { Recipe } from '../recipe/types.js';
import { evaluationLoader } from './evaluation-loader.js';

export interface TrainingData {
  readonly train: BatchSource;
  readonly test: BatchSource;
  /** A fixed sample of the training images, as the test images are prepared: no more than these, nor than 1000. */
  readonly trainSample: BatchSource;
  readonly trainImages: number;
  readonly testImages: number;
  /** SHA-256 of what the training images are: pixels and labels, or, where they stay on the disk, the listing of their files with sizes and labels. */
  readonly hash: string;
}

/** An accuracy is then known to a point or so. */
const MOST_SAMPLE_IMAGES = 1000;

/**
 * @param path folder of the data set's files, where they are not bundled
 * @throws InputError as `openDataset` and `createLoader`; `DATA_CLASSES` if the network has another number of classes, `DATA_TRAIN_IMAGES` if
 * the data set has fewer images than it is to train on
 */
export async function loadTrainingData(recipe: Recipe, path?: string): Promise<TrainingData> {
  const { data, network, seed } = recipe;
  const options = { path, columns: data.columns, classes: network.classes };
  const whole = await openDataset(data.dataset, 'train', options);
  checkClasses(whole, network.classes);
  const train = trainingSubset(whole, data);
  const test = await openDataset(data.dataset, 'test', options);
  return {
    train: createLoader(train, data, network.image, { seed, train: true }),
    test: evaluationLoader(test, data, network.image),
    trainSample: evaluationLoader(sampleOf(train, Math.min(MOST_SAMPLE_IMAGES, test.count), seed), data, network.image),
    trainImages: train.count,
    testImages: test.count,
    hash: hashOf(train),
  };
}

function hashOf(dataset: AnyDataset): string {
  if (!isInMemory(dataset)) return dataset.fingerprint;
  return createHash('sha256').update(dataset.pixels).update(dataset.labels).digest('hex');
}
