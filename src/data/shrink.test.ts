import { expect, test } from 'vitest';
import { parseRecipe } from '../recipe/index.js';
import type { Dataset } from './dataset.js';
import { dataChecks } from './known.js';
import { Loader } from './loader.js';
import { shrinkImages } from './shrink.js';

const dataset: Dataset = {
  name: 'made',
  split: 'test',
  classes: 2,
  count: 2,
  image: [1, 2, 4],
  labels: Uint8Array.from([0, 1]),
  // prettier-ignore
  pixels: Uint8Array.from([
    0, 1, 10, 20,
    2, 4, 30, 41,
    255, 255, 9, 9,
    255, 255, 9, 8,
  ]),
};

test('each cell becomes its mean, a half rounded upwards', () => {
  const small = shrinkImages(dataset, 2);
  expect(small.image).toEqual([1, 1, 2]);
  expect([...small.pixels]).toEqual([2, 25, 255, 9]); // of 7/4, 101/4, 255, 35/4
  expect(shrinkImages(dataset, 1)).toBe(dataset);
});

const config = (shrink: number, pad: [number, number]) => ({
  dataset: 'digits' as const,
  batch: 2,
  normalize: { mean: [0], std: [1 / 255] },
  augment: { resizedCrop: null, crop: null, flip: false },
  resize: null,
  columns: null,
  convert: { channels: null, pad, shrink },
});

test('a loader shrinks before it pads', () => {
  const { image } = new Loader(dataset, config(2, [2, 2]), [1, 2, 2], { seed: 0, train: false }).batch(0, 0);
  expect([...image.data].map(Math.round)).toEqual([2, 25, 0, 0, 255, 9, 0, 0]);
});

test('a factor that does not divide the images is refused, with those that do', () => {
  const make = () => new Loader(dataset, config(3, [2, 2]), [1, 2, 2], { seed: 0, train: false });
  expect(make).toThrow('data.convert.shrink is 3, but images of made are 2 × 4; allowed: 1, 2');
});

test('check knows the size after shrinking', () => {
  const recipe = (size: number) =>
    parseRecipe(
      {
        network: { type: 'cifar-resnet', depth: 8, classes: 10, image: [1, size, size] },
        local: { rule: 'bp' },
        optimizer: { type: 'sgd', learningRate: 0.1 },
        schedule: { type: 'constant', epochs: 1 },
        data: { dataset: 'fashion-mnist', batch: 8, convert: { shrink: 2, pad: [size, size] } },
      },
      'r.json',
    );
  const check = (size: number) => () => dataChecks(recipe(size)).forEach((run) => run());
  expect(check(16)).not.toThrow();
  expect(check(12)).toThrow('data.convert.pad is [12, 12], but images of fashion-mnist are 14 × 14');
});
