import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crc32 } from '../../test/crc32.js';
import { encoded, gradient, writeTree } from '../../test/image-files.js';
import { InputError, UsageError } from '../errors.js';
import { Random } from '../random.js';
import type { DataConfig } from '../recipe/types.js';
import { randomArea } from './area.js';
import type { EncodedDataset } from './dataset.js';
import { openDataset } from './open.js';
import { StreamingLoader } from './streaming-loader.js';

type Image = readonly [number, number, number];

const NONE = { resizedCrop: null, crop: null, flip: false };
const train = { seed: 1, train: true };
const test = { seed: 1, train: false };

function config(changes: Partial<DataConfig> = {}): DataConfig {
  const rest = { resize: null, columns: null, convert: null };
  return {
    dataset: 'image-folder',
    batch: 2,
    normalize: { mean: [0], std: [1 / 255] },
    augment: NONE,
    ...rest,
    ...changes,
  };
}

/** Encoded images by number, their labels in turn; `delay` says how long each takes to be read. */
function inMemory(images: readonly Uint8Array[], delay: (i: number) => number = () => 0): EncodedDataset {
  return {
    name: 'test-set',
    split: 'train',
    classes: 3,
    count: images.length,
    labels: Uint8Array.from(images, (_, i) => i % 3),
    fingerprint: '',
    order: (random: Random) => random.shuffle(Uint32Array.from(images, (_, i) => i)),
    read: async (i: number) => {
      await new Promise((resolve) => setTimeout(resolve, delay(i)));
      return { bytes: images[i]!, where: `image ${i}` };
    },
  };
}

/** With mean 0 and std 1/255 the values are the pixels, to rounding: pixel by pixel, as sharp has them. */
function pixels(data: Float32Array, [channels, height, width]: Image, i = 0): number[] {
  const plane = height * width;
  return Array.from({ length: channels * plane }, (_, at) =>
    Math.round(data[i * channels * plane + (at % channels) * plane + Math.floor(at / channels)]!),
  );
}

/** Without its last byte. */
const cut = (bytes: Uint8Array) => bytes.subarray(0, -1);

/** With its middle overwritten. */
const damaged = (bytes: Uint8Array) => Uint8Array.from(bytes).fill(0x55, bytes.length >> 1, (bytes.length >> 1) + 40);

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
const pngs = (count: number, width = 12, height = 9) =>
  Promise.all(numbers(count).map((i) => encoded('png', width, height, i)));

describe('StreamingLoader', () => {
  it('gives test images in file order with their labels, none left out, cut from the centre', async () => {
    const loader = new StreamingLoader(inMemory(await pngs(5)), config({ resize: 9 }), [3, 9, 9], test);
    expect(loader.batchesPerEpoch).toBe(3);
    const batches = await Promise.all([0, 1, 2].map((i) => loader.prepare(0, i)));
    expect(batches.map(({ image }) => image.shape)).toEqual([
      [2, 3, 9, 9],
      [2, 3, 9, 9],
      [1, 3, 9, 9],
    ]);
    expect(batches.flatMap(({ label }) => [...label.data])).toEqual([0n, 1n, 2n, 0n, 1n]);
    for (const i of numbers(5)) {
      const whole = gradient(12, 9, i);
      const middle = numbers(243).map(
        (at) => whole[3 * (12 * Math.floor(at / 27) + 1 + Math.floor((at % 27) / 3)) + (at % 3)],
      );
      expect(pixels(batches[i >> 1]!.image.data, [3, 9, 9], i & 1)).toEqual(middle);
    }
  });

  it('decodes lossless types exactly, greys, and drops transparency', async () => {
    const raw = { raw: { width: 6, height: 6, channels: 3 } } as const;
    const grey = await sharp(Buffer.alloc(36, 77), { raw: { width: 6, height: 6, channels: 1 } })
      .png()
      .toBuffer();
    const clear = await sharp(gradient(6, 6, 2), raw)
      .ensureAlpha(0.25)
      .png()
      .toBuffer();
    const images = [await encoded('png', 6, 6, 2), await encoded('webp', 6, 6, 2), clear, grey];
    const colour = await new StreamingLoader(
      inMemory(images),
      config({ batch: 4, resize: 6 }),
      [3, 6, 6],
      test,
    ).prepare(0, 0);
    for (const i of [0, 1, 2]) expect(pixels(colour.image.data, [3, 6, 6], i)).toEqual([...gradient(6, 6, 2)]);
    expect(new Set(pixels(colour.image.data, [3, 6, 6], 3))).toEqual(new Set([77]));
    const black = await new StreamingLoader(inMemory([grey]), config({ resize: 6 }), [1, 6, 6], test).prepare(0, 0);
    expect(black.image.shape).toEqual([1, 1, 6, 6]);
    expect(new Set(pixels(black.image.data, [1, 6, 6]))).toEqual(new Set([77]));
  });

  it('resizes the shorter side, as sharp does by itself', async () => {
    const jpeg = await encoded('jpeg', 40, 30, 1);
    const { image } = await new StreamingLoader(inMemory([jpeg]), config({ resize: 20 }), [3, 16, 16], test).prepare(
      0,
      0,
    );
    const expected = await sharp(jpeg)
      .resize(26, 20, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false })
      .extract({ left: 5, top: 2, width: 16, height: 16 })
      .raw()
      .toBuffer();
    expect(pixels(image.data, [3, 16, 16])).toEqual([...expected]);
  });

  it('resizes the part that seed, epoch and position draw, and flips as they say', async () => {
    const resizedCrop = { scale: [0.2, 1], ratio: [0.75, 4 / 3] } as const;
    const images = await pngs(4, 30, 24);
    const augment = { ...NONE, resizedCrop, flip: true };
    const loader = new StreamingLoader(inMemory(images), config({ batch: 4, augment }), [3, 8, 8], train);
    const flips = new Set<boolean>();
    for (const epoch of [0, 3]) {
      const order = new Random(1, 'shuffle', epoch).shuffle(Uint32Array.of(0, 1, 2, 3));
      const { image, label } = await loader.prepare(epoch, 0);
      expect([...label.data]).toEqual([...order].map((i) => BigInt(i % 3)));
      for (const position of [0, 1, 2, 3]) {
        const random = new Random(1, 'augment', epoch, position);
        random.int(1);
        random.int(1);
        const flip = random.int(2) === 1;
        flips.add(flip);
        const part = randomArea({ width: 30, height: 24 }, resizedCrop, random);
        const resized = sharp(images[order[position]!]).extract(part).resize(8, 8, { fit: 'fill', kernel: 'linear' });
        const expected = await sharp(await resized.png().toBuffer())
          .flop(flip)
          .raw()
          .toBuffer();
        expect(pixels(image.data, [3, 8, 8], position)).toEqual([...expected]);
      }
    }
    expect(flips.size).toBe(2);
  });

  it('crops from a padded copy of the centre', async () => {
    const augment = { ...NONE, crop: { pad: 2, mode: 'zero' as const } };
    const images = await pngs(40, 5, 5);
    const loader = new StreamingLoader(inMemory(images), config({ batch: 40, resize: 5, augment }), [3, 5, 5], train);
    const { image } = await loader.prepare(0, 0);
    const black = numbers(40).map((i) => pixels(image.data, [3, 5, 5], i).filter((value) => value === 0).length);
    expect(Math.max(...black)).toBeGreaterThanOrEqual(3 * (25 - 9)); // a corner
    expect(Math.min(...black)).toBeLessThan(20);
  });

  it('gives the same bits whatever the timing and the order of questions', async () => {
    const augment = { resizedCrop: { scale: [0.1, 1], ratio: [0.5, 2] } as const, crop: null, flip: true };
    const images = await pngs(8, 20, 16);
    const make = (delay?: (i: number) => number, seed = 1) =>
      new StreamingLoader(inMemory(images, delay), config({ batch: 4, augment }), [3, 8, 8], { seed, train: true });
    const forwards = make();
    const seen = [];
    for (const [epoch, i] of [
      [0, 0],
      [0, 1],
      [1, 0],
    ] as const)
      seen.push({ epoch, i, batch: await forwards.prepare(epoch, i) });
    const backwards = make((i) => (i * 7) % 11);
    for (const { epoch, i, batch } of seen.reverse()) expect(await backwards.prepare(epoch, i)).toEqual(batch);
    expect(await make(undefined, 2).prepare(0, 0)).not.toEqual(seen[2]!.batch);
  });

  it.each<[string, () => Promise<Uint8Array>, string, RegExp]>([
    [
      'cut off',
      async () => cut(await encoded('jpeg', 64, 64, 1)),
      'IMAGE_TRUNCATED',
      /^image 2: ends at byte \d+, before the end of its JPEG image$/,
    ],
    [
      'a cut PNG',
      async () => cut(await encoded('png', 64, 64, 1)),
      'IMAGE_TRUNCATED',
      /^image 2: ends at byte \d+, before the end of its PNG image$/,
    ],
    [
      'a cut WebP',
      async () => cut(await encoded('webp', 64, 64, 1)),
      'IMAGE_TRUNCATED',
      /^image 2: ends .* of its WebP image$/,
    ],
    [
      'a damaged PNG',
      async () => damaged(await encoded('png', 64, 64, 1)),
      'IMAGE_UNDECODABLE',
      /^image 2: cannot be decoded: /,
    ],
    [
      'a JPEG of markers',
      async () => Buffer.from('ffd8ffe0ffd9', 'hex'),
      'IMAGE_UNDECODABLE',
      /^image 2: cannot be decoded/,
    ],
    [
      'empty',
      async () => new Uint8Array(),
      'IMAGE_TYPE',
      /^image 2: is empty; allowed: an image in JPEG, PNG or WebP$/,
    ],
    ['a GIF', async () => Buffer.from('GIF89a'), 'IMAGE_TYPE', /^image 2: starts with the bytes 47494638; allowed/],
    [
      'an SVG',
      async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
      'IMAGE_TYPE',
      /^image 2: starts with/,
    ],
  ])('names an image that is %s', async (_, bad, code, message) => {
    const images = [...(await pngs(2)), await bad(), await bad()];
    const loader = new StreamingLoader(
      inMemory(images, (i) => (i === 2 ? 30 : 0)),
      config({ batch: 4 }),
      [3, 8, 8],
      test,
    );
    const error: unknown = await loader.prepare(0, 0).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect((error as Error).message).not.toContain('\n');
  });

  it('refuses an image whose header says that it is enormous', async () => {
    const bomb = Buffer.from(await encoded('png', 8, 8, 1));
    bomb.writeUInt32BE(60_000, 16);
    bomb.writeUInt32BE(60_000, 20);
    bomb.writeUInt32BE(crc32(bomb.subarray(12, 29)), 29);
    const loader = new StreamingLoader(inMemory([bomb]), config(), [3, 8, 8], test);
    await expect(loader.prepare(0, 0)).rejects.toThrow(/^image 0: cannot be decoded: .*exceeds pixel limit/);
  });

  it('stops between images when told to', async () => {
    const stop = new AbortController();
    let read = 0;
    const images = inMemory(await pngs(20), () => {
      if (++read === 3) stop.abort();
      return 1;
    });
    const loader = new StreamingLoader(images, config({ batch: 20 }), [3, 8, 8], test);
    await expect(loader.prepare(0, 0, stop.signal)).rejects.toMatchObject({ name: 'AbortError' });
    expect(read).toBeLessThan(10);
  });

  it.each<[string, Partial<DataConfig>, Image, string, RegExp]>([
    ['channels that no image has', {}, [2, 8, 8], 'DATA_IMAGE_MISMATCH', /images of test-set have 1 or 3 channels/],
    ['a resize below the network', { resize: 7 }, [3, 8, 8], 'DATA_RESIZE', /data\.resize is 7; allowed: from 8/],
    ['batches over the data set', { batch: 9 }, [3, 8, 8], 'DATA_BATCH', /has 8 train images/],
    ['two means', { normalize: { mean: [0, 0], std: [1] } }, [3, 8, 8], 'DATA_NORMALIZE', /has 2 values/],
  ])('refuses %s', async (_, changes, image, code, message) => {
    const images = inMemory(await pngs(8));
    expect(() => new StreamingLoader(images, config(changes), image, train)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error,
    );
  });

  it('refuses places that do not exist', async () => {
    const loader = new StreamingLoader(inMemory(await pngs(4)), config(), [3, 8, 8], train);
    await expect(loader.prepare(0, 2)).rejects.toBeInstanceOf(UsageError);
  });
});

describe('StreamingLoader on an image folder', () => {
  let root: string;
  beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), 'hpff-stream-'))));
  afterEach(() => rm(root, { recursive: true }));

  it('names the file that cannot be decoded, or that is gone since it was listed', async () => {
    const png = await encoded('png', 8, 8, 1);
    await writeTree(root, { 'train/a/1.png': png, 'train/a/2.png': png, 'train/b/3.png': png });
    const dataset = (await openDataset('image-folder', 'train', { path: root, classes: 2 })) as EncodedDataset;
    const loader = new StreamingLoader(dataset, config({ batch: 3, resize: 8 }), [3, 8, 8], test);
    expect([...(await loader.prepare(0, 0)).label.data]).toEqual([0n, 0n, 1n]);
    await writeFile(join(root, 'train/a/2.png'), damaged(png));
    await expect(loader.prepare(0, 0)).rejects.toThrow(`${join(root, 'train/a/2.png')}: cannot be decoded`);
    await rm(join(root, 'train/a/2.png'));
    await expect(loader.prepare(0, 0)).rejects.toThrow(`${join(root, 'train/a/2.png')}: no such file`);
  });
});
