/** Training on image folders and parquet files, from recipe to exported model: bits that survive a resume, errors that cost nothing. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { train, type TrainOptions } from '../src/train/index.js';
import { hpff } from './cli.js';
import { encoded, writeTree } from './image-files.js';
import { latestBits, metricsOf, tinyRecipe, tinyRecipeFile } from './support/training.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** A crop, a resize and a flip of each image; 3 steps an epoch. */
const changes = {
  local: { rule: 'bp' },
  network: { type: 'cifar-resnet', depth: 8, widths: [2, 2, 4, 4], classes: 2, image: [3, 16, 16] },
  data: { dataset: 'image-folder', batch: 4, augment: { resizedCrop: { scale: [0.3, 1] }, flip: true } },
};
const recipe = tinyRecipe(changes);

let root: string;
let images: string;
let count = 0;
const newFolder = (): string => path.join(root, `run-${count++}`);
const run = (folder: string, options: Partial<TrainOptions> = {}) =>
  train(recipe, { folder, threads: 1, data: images, ...options });

beforeAll(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'hpff-image-folder-'));
  images = path.join(root, 'images');
  const files: Record<string, Uint8Array> = {};
  for (let i = 0; i < 12; i++) {
    const format = (['jpeg', 'png', 'webp'] as const)[i % 3]!;
    files[`train/${i % 2 ? 'odd' : 'even'}/${i}.${format}`] = await encoded(format, 24 + i, 30 - i, i);
  }
  for (let i = 0; i < 4; i++) files[`val/${i % 2 ? 'odd' : 'even'}/${i}.jpg`] = await encoded('jpeg', 20, 22, i);
  await writeTree(images, files);
});
afterAll(() => rmSync(root, { recursive: true }));

describe('training on an image folder', () => {
  test('has the same bits twice, and where it is resumed within an epoch', async () => {
    const [first, second, resumed] = [newFolder(), newFolder(), newFolder()];
    const { testImages } = await run(first, { logEvery: 1 });
    expect(testImages).toBe(4);
    await run(second, { logEvery: 1 });
    await run(resumed, { steps: 4, logEvery: 1 });
    await run(resumed, { resume: true, logEvery: 1 });
    expect(latestBits(second)).toEqual(latestBits(first));
    expect(latestBits(resumed)).toEqual(latestBits(first));
    expect(metricsOf(second)).toEqual(metricsOf(first));
  });

  test('is evaluated and exported as it was trained', async () => {
    const folder = newFolder();
    const { testAccuracy } = await run(folder);
    const model = path.join(root, 'model.onnx');
    const written = await hpff('export', folder, '-o', model, '--data', images);
    expect(written.stdout).toContain('on 4 test images of image-folder');
    for (const what of [folder, model]) {
      const { code, stdout } = await hpff('eval', what, '--data', images, '--json');
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ accuracy: testAccuracy, images: 4, dataset: 'image-folder' });
    }
    const randomly = await hpff('export', folder, '-o', path.join(root, 'other.onnx'));
    expect(randomly).toMatchObject({ code: 0, stdout: expect.stringContaining('random images') as string });
  });

  test('is not evaluated on folders of other classes', async () => {
    const folder = newFolder();
    await run(folder, { steps: 1 });
    const other = path.join(root, 'other');
    await writeTree(other, { 'val/alone/1.png': await encoded('png', 20, 20, 1) });
    const { code, stderr } = await hpff('eval', folder, '--data', other);
    expect(code).toBe(2);
    expect(stderr).toContain('has 2 classes, but image-folder has 1; allowed: as many');
  });

  test('is refused on other images when it is resumed', async () => {
    const folder = newFolder();
    await run(folder, { steps: 1 });
    const file = path.join(images, 'train/odd/13.png');
    writeFileSync(file, await encoded('png', 20, 20, 13));
    try {
      await expect(run(folder, { resume: true })).rejects.toMatchObject({ code: 'RESUME_DATA' });
    } finally {
      rmSync(file);
    }
  });

  test('ends in one line where an image is broken, and the last checkpoint stays', async () => {
    const folder = newFolder();
    const file = path.join(root, 'recipe.json');
    writeFileSync(file, JSON.stringify(tinyRecipeFile(changes)));
    const args = ['train', file, '-o', folder, '--data', images, '--threads', '1'];
    expect((await hpff(...args, '--steps', '3')).code).toBe(0);
    const before = latestBits(folder);
    const image = path.join(images, 'train/even/0.jpeg');
    const sound = readFileSync(image);
    writeFileSync(image, Buffer.concat([sound.subarray(0, 200), Buffer.alloc(sound.length - 202), sound.subarray(-2)]));
    try {
      const { code, stderr } = await hpff(...args, '--resume');
      expect(code).toBe(2);
      expect(stderr.trimEnd().split('\n').at(-1)).toMatch(/^hpff: IMAGE_UNDECODABLE: .*0\.jpeg: cannot be decoded: ./);
      expect(stderr).not.toContain('    at ');
    } finally {
      writeFileSync(image, sound);
    }
    expect(latestBits(folder)).toEqual(before);
  });

  test('needs as many classes as there are folders', async () => {
    const other = tinyRecipe({ ...changes, network: { ...changes.network, classes: 3 } });
    await expect(train(other, { folder: newFolder(), data: images })).rejects.toThrow(
      'network.classes: found 3, allowed: 2, as image-folder has',
    );
  });
});

test('training on parquet files has the same bits where it is resumed', async () => {
  const data = path.join(root, 'parquet');
  const rows = await Promise.all(
    Array.from({ length: 12 }, async (_, i) => ({ bytes: await encoded('png', 20, 20, i), label: BigInt(i % 2) })),
  );
  const columnData = [
    { name: 'img', data: rows.map(({ bytes }) => bytes), type: 'BYTE_ARRAY' as const },
    { name: 'label', data: rows.map(({ label }) => label), type: 'INT64' as const },
  ];
  const bytes = new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 5 }));
  await writeTree(data, { 'data/train-00000-of-00001.parquet': bytes, 'data/test-00000-of-00001.parquet': bytes });
  const ofParquet = tinyRecipe({
    ...changes,
    data: { ...changes.data, dataset: 'parquet', columns: { image: 'img' } },
  });
  const [first, resumed] = [newFolder(), newFolder()];
  const options = { data, threads: 1 };
  const { testImages } = await train(ofParquet, { ...options, folder: first });
  await train(ofParquet, { ...options, folder: resumed, steps: 5 });
  await train(ofParquet, { ...options, folder: resumed, resume: true });
  expect(testImages).toBe(12);
  expect(latestBits(resumed)).toEqual(latestBits(first));
});
