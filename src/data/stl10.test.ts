import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../errors.js';
import { loadDataset } from './load.js';

const BYTES = 3 * 96 * 96;
const pixel = (row: number, column: number, channel: number, image: number) =>
  (image + 3 * row + 5 * column + 7 * channel) % 256;
/** Channel, column, row, as the files have it. */
const stored = (count: number) =>
  Uint8Array.from({ length: BYTES * count }, (_, i) =>
    pixel(i % 96, Math.floor(i / 96) % 96, Math.floor(i / 9216) % 3, Math.floor(i / BYTES)),
  );
const expected = (count: number) =>
  Uint8Array.from({ length: BYTES * count }, (_, i) =>
    pixel(Math.floor(i / 96) % 96, i % 96, Math.floor(i / 9216) % 3, Math.floor(i / BYTES)),
  );

describe('stl10', () => {
  let root: string;
  beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), 'hpff-stl10-'))));
  afterEach(() => rm(root, { recursive: true }));

  async function write(labels: number[], images: Uint8Array = stored(labels.length), folder = root): Promise<void> {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'train_X.bin'), images);
    await writeFile(join(folder, 'train_y.bin'), Uint8Array.from(labels));
  }

  it("turns images row-major and labels into classes from 0, from the folder or the archive's folder in it", async () => {
    for (const folder of [join(root, 'stl10_binary'), root]) {
      await write([1, 10, 5], undefined, folder);
      const train = await loadDataset('stl10', 'train', root);
      expect(train).toMatchObject({ name: 'stl10', split: 'train', classes: 10, image: [3, 96, 96], count: 3 });
      expect([...train.labels]).toEqual([0, 9, 4]);
      expect(train.pixels).toEqual(expected(3));
    }
  });

  it.each<[string, number[], Uint8Array | undefined, string, RegExp]>([
    ['label 0', [1, 0], undefined, 'DATASET_LABEL', /train_y\.bin: image 1: label 0; allowed: 1 to 10$/],
    ['label 11', [11], undefined, 'DATASET_LABEL', /label 11/],
    [
      'a cut image',
      [1, 2],
      stored(2).subarray(1),
      'DATASET_TRUNCATED',
      /ends at byte 55295, within the image that starts at byte 27648; an image has 27648 bytes$/,
    ],
    ['no images', [1], new Uint8Array(), 'DATASET_EMPTY', /train_X\.bin: is empty$/],
    ['more labels than images', [1, 2], stored(1), 'DATASET_COUNTS', /has 2 labels, but .* has 1 images$/],
  ])('refuses %s', async (_, labels, images, code, message) => {
    await write(labels, images);
    const error: unknown = await loadDataset('stl10', 'train', root).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it('tells the remedy where files are missing', async () => {
    await write([1]);
    await expect(loadDataset('stl10', 'test', root)).rejects.toThrow(
      `stl10: ${root}: no file test_X.bin there or in stl10_binary; unpack stl10_binary.tar.gz`,
    );
  });
});
