import { describe, expect, it } from 'vitest';
import { dataChecks } from '../data/known.js';
import { parseRecipe } from './parse.js';

const IMAGE = [3, 224, 224];

function recipe(data: Record<string, unknown>, image: readonly number[] = IMAGE) {
  const value = {
    network: { type: 'cifar-resnet', depth: 8, classes: 10, image },
    local: { rule: 'bp' },
    optimizer: { type: 'sgd', learningRate: 0.1 },
    schedule: { type: 'constant', epochs: 1 },
    data: { batch: 8, ...data },
  };
  return parseRecipe(value, 'r.json');
}

describe('the data section of image-folder and parquet', () => {
  it('has the usual defaults', () => {
    const augment = { resizedCrop: {}, flip: true };
    expect(recipe({ dataset: 'image-folder', augment }).data).toMatchObject({
      augment: { resizedCrop: { scale: [0.08, 1], ratio: [3 / 4, 4 / 3] }, crop: null, flip: true },
      resize: 256,
      columns: null,
      convert: null,
    });
    expect(recipe({ dataset: 'image-folder' }, [3, 64, 48]).data.resize).toBe(73);
    expect(recipe({ dataset: 'parquet', columns: { image: 'img' } }).data).toMatchObject({
      augment: { resizedCrop: null },
      columns: { image: 'img', label: 'label' },
    });
    expect(recipe({ dataset: 'parquet', resize: 300 }).data).toMatchObject({
      resize: 300,
      columns: { image: 'image' },
    });
    expect(recipe({ dataset: 'cifar10' }, [3, 32, 32]).data).toMatchObject({ resize: null, columns: null });
  });

  it('reads back as it is written', () => {
    const found = recipe({ dataset: 'parquet', augment: { resizedCrop: { ratio: [1, 1] } } });
    expect(parseRecipe(JSON.parse(JSON.stringify(found)), 'r.json')).toEqual(found);
    const inMemory = recipe({ dataset: 'stl10' }, [3, 96, 96]);
    expect(parseRecipe(JSON.parse(JSON.stringify(inMemory)), 'r.json')).toEqual(inMemory);
  });

  it.each<[Record<string, unknown>, readonly number[], string]>([
    [
      { dataset: 'cifar10', augment: { resizedCrop: { scale: [1, 1] } } },
      [3, 32, 32],
      'data.augment.resizedCrop: found {"scale":[1,1]}, allowed: null (images of cifar10 have one size; only "image-folder" or "parquet" resize theirs)',
    ],
    [
      { dataset: 'svhn', resize: 40 },
      [3, 32, 32],
      'data.resize: found 40, allowed: null (images of svhn have one size',
    ],
    [
      { dataset: 'cifar10', columns: {} },
      [3, 32, 32],
      'data.columns: found {}, allowed: null (only data set "parquet" has columns)',
    ],
    [
      { dataset: 'image-folder', resize: 223 },
      IMAGE,
      'data.resize: found 223, allowed: an integer from 224 (the larger side of network.image)',
    ],
    [
      { dataset: 'image-folder', convert: { channels: 3 } },
      IMAGE,
      'data.convert: found {"channels":3}, allowed: null (images of image-folder are decoded',
    ],
    [
      { dataset: 'image-folder', augment: { resizedCrop: {}, crop: { pad: 4 } } },
      IMAGE,
      'data.augment.crop: found {"pad":4}, allowed: null, where there is a resizedCrop',
    ],
    [{ dataset: 'image-folder' }, [4, 32, 32], 'network.image[0]: found 4, allowed: 1 (grey) or 3 (colour)'],
    [
      { dataset: 'image-folder', augment: { resizedCrop: { scale: [0.5, 0.1] } } },
      IMAGE,
      'data.augment.resizedCrop.scale: found [0.5,0.1], allowed: a list of 2 numbers > 0 and ≤ 1, rising',
    ],
    [
      { dataset: 'image-folder', augment: { resizedCrop: { scale: [0.5, 2] } } },
      IMAGE,
      'data.augment.resizedCrop.scale[1]: found 2, allowed: a list of 2 numbers > 0 and ≤ 1',
    ],
    [
      { dataset: 'image-folder', augment: { resizedCrop: { ratio: [0, 1] } } },
      IMAGE,
      'data.augment.resizedCrop.ratio[0]: found 0, allowed: a list of 2 numbers > 0, rising',
    ],
    [
      { dataset: 'parquet', columns: { image: '' } },
      IMAGE,
      'data.columns.image: found "", allowed: the name of a column',
    ],
    [
      { dataset: 'imagenet' },
      IMAGE,
      'data.dataset: found "imagenet", allowed: "digits", "fashion-mnist", "mnist", "cifar10", "cifar100", "svhn", "stl10", "image-folder" or "parquet"',
    ],
  ])('refuses %j', (data, image, message) => {
    expect(() => recipe(data, image)).toThrow(`r.json: ${message}`);
  });

  it('is held against what is known of a data set before its files are read', () => {
    const errors = (data: Record<string, unknown>, image: readonly number[]) =>
      dataChecks(recipe(data, image)).flatMap((check) => {
        try {
          check();
          return [];
        } catch (error) {
          return [(error as Error).message];
        }
      });
    expect(errors({ dataset: 'stl10', batch: 6000 }, [3, 96, 96])).toEqual([
      'data.batch is 6000; allowed: 1 to 5000, the images of stl10',
    ]);
    expect(errors({ dataset: 'svhn' }, [3, 28, 28])[0]).toMatch(/^images of svhn are \[3, 32, 32\]/);
    expect(errors({ dataset: 'image-folder' }, IMAGE)).toEqual([]);
  });
});
