import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { idxFile, ramp } from '../../test/data-files.js';
import { InputError } from '../errors.js';
import { hasDefaultFolder, loadDataset } from './load.js';

describe('digits', () => {
  it('come with the package: 1437 and 360 images, all classes in proportion, none in both', async () => {
    const train = await loadDataset('digits', 'train');
    const test = await loadDataset('digits', 'test');
    expect(train).toMatchObject({ name: 'digits', split: 'train', classes: 10, image: [1, 8, 8], count: 1437 });
    expect(test).toMatchObject({ split: 'test', image: [1, 8, 8], count: 360 });
    const perClass = (labels: Uint8Array) => Array.from({ length: 10 }, (_, c) => labels.filter((l) => l === c).length);
    const [inTrain, inTest] = [perClass(train.labels), perClass(test.labels)];
    inTest.forEach((count, c) => expect(Math.abs(count - (count + (inTrain[c] ?? 0)) / 5)).toBeLessThanOrEqual(1));
    expect(new Set(train.pixels)).toEqual(new Set(Array.from({ length: 17 }, (_, v) => Math.round((v * 255) / 16))));
    const images = (pixels: Uint8Array) =>
      Array.from({ length: pixels.length / 64 }, (_, i) => pixels.slice(64 * i, 64 * i + 64).join());
    const seen = new Set(images(train.pixels));
    expect(images(test.pixels).filter((image) => seen.has(image))).toEqual([]);
  });

  it('show what their labels say: the nearest class mean is nearly always right', async () => {
    const train = await loadDataset('digits', 'train');
    const test = await loadDataset('digits', 'test');
    const means = Array.from({ length: 10 }, () => new Float64Array(64));
    train.labels.forEach((label, i) => {
      const n = train.labels.filter((other) => other === label).length;
      for (let p = 0; p < 64; p++) means[label]![p]! += train.pixels[64 * i + p]! / n;
    });
    const distance = (i: number, mean: Float64Array) =>
      mean.reduce((sum, m, p) => sum + (test.pixels[64 * i + p]! - m) ** 2, 0);
    const nearest = (i: number) => {
      const distances = means.map((mean) => distance(i, mean));
      return distances.indexOf(Math.min(...distances));
    };
    const right = [...test.labels].filter((label, i) => nearest(i) === label).length;
    expect(right / test.count).toBeGreaterThan(0.85);
  });
});

const debianFashionMnist = await stat('/usr/share/datasets/fashion-mnist').catch(() => null);
describe.skipIf(debianFashionMnist === null)('fashion-mnist', () => {
  it('is found by itself', async () => {
    const test = await loadDataset('fashion-mnist', 'test');
    expect(test).toMatchObject({ name: 'fashion-mnist', classes: 10, image: [1, 28, 28], count: 10000 });
    expect([...test.labels.subarray(0, 5)]).toEqual([9, 2, 1, 1, 6]);
  });
});

describe('files in the format of MNIST', () => {
  let root: string;
  beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), 'hpff-mnist-'))));
  afterEach(() => rm(root, { recursive: true }));

  async function write(folder: string, labels: number[], images = labels.length): Promise<void> {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'train-images-idx3-ubyte'), idxFile([images, 4, 5], ramp(images * 20)));
    await writeFile(
      join(folder, 'train-labels-idx1-ubyte.gz'),
      gzipSync(idxFile([labels.length], Uint8Array.from(labels))),
    );
  }

  it('are read from the folder, or where torchvision puts them', async () => {
    await write(join(root, 'MNIST', 'raw'), [3, 1, 4]);
    const train = await loadDataset('mnist', 'train', root);
    expect(train).toMatchObject({ name: 'mnist', image: [1, 4, 5], count: 3, pixels: ramp(60) });
    expect([...train.labels]).toEqual([3, 1, 4]);
    await write(root, [1]);
    expect((await loadDataset('mnist', 'train', root)).count).toBe(1);
    expect((await loadDataset('fashion-mnist', 'train', root)).count).toBe(1);
  });

  it('are refused if their counts disagree, or labels are no class, or there are none', async () => {
    await write(root, [1, 2], 3);
    const labels = join(root, 'train-labels-idx1-ubyte.gz');
    await expect(loadDataset('mnist', 'train', root)).rejects.toThrow(
      new InputError(
        'DATASET_COUNTS',
        `${labels} has 2 labels, but ${join(root, 'train-images-idx3-ubyte')} has 3 images`,
      ),
    );
    await write(root, [1, 2, 10]);
    await expect(loadDataset('mnist', 'train', root)).rejects.toThrow(
      `${labels}: image 2, byte 10: label 10; allowed: 0 to 9`,
    );
    await write(root, []);
    await expect(loadDataset('mnist', 'train', root)).rejects.toMatchObject({ code: 'DATASET_EMPTY' });
  });

  it('tell the remedy when they are missing', async () => {
    await expect(loadDataset('mnist', 'test', root)).rejects.toThrow(
      `mnist: ${root}: no file t10k-images-idx3-ubyte.gz or t10k-images-idx3-ubyte there or in MNIST/raw; give the folder`,
    );
    await expect(loadDataset('mnist', 'test')).rejects.toThrow(
      'mnist: its files are not bundled; give their folder by --data',
    );
    await expect(loadDataset('fashion-mnist', 'test', root)).rejects.toThrow('apt-get install dataset-fashion-mnist');
    expect(hasDefaultFolder('mnist')).toBe(false);
    expect(hasDefaultFolder('cifar10')).toBe(false);
    expect(hasDefaultFolder('digits')).toBe(true);
  });
});
