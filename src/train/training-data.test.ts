import { expect, test } from 'vitest';
import { parseRecipe } from '../recipe/index.js';
import { loadTrainingData } from './training-data.js';

const recipe = (data: object, seed = 1) =>
  parseRecipe(
    {
      network: { type: 'cifar-resnet', depth: 8, widths: [8, 8, 16, 32], classes: 10, image: [1, 8, 8] },
      local: { rule: 'bp' },
      optimizer: { type: 'sgd', learningRate: 0.1 },
      schedule: { type: 'constant', epochs: 1 },
      data: { dataset: 'digits', batch: 50, ...data },
      seed,
    },
    'recipe',
  );

test('trainImages: an epoch is so many training images, the same for every seed; tests keep all', async () => {
  const all = await loadTrainingData(recipe({}));
  const some = await loadTrainingData(recipe({ trainImages: 500 }));
  const other = await loadTrainingData(recipe({ trainImages: 500 }, 2));
  expect([some.trainImages, some.train.batchesPerEpoch, some.testImages]).toEqual([500, 10, all.testImages]);
  expect(some.hash).toBe(other.hash);
  expect(some.hash).not.toBe(all.hash);
});

test('trainImages: not more than there are', async () => {
  await expect(loadTrainingData(recipe({ trainImages: 1438 }))).rejects.toThrow(
    'data.trainImages is 1438, but digits has 1437 training images; allowed: 1 to 1437',
  );
  expect((await loadTrainingData(recipe({ trainImages: 1437 }))).trainImages).toBe(1437);
});
