import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ramp } from '../../test/data-files.js';
import { InputError, UsageError } from '../errors.js';
import type { DataConfig } from '../recipe/types.js';
import type { Dataset } from './dataset.js';
import { axisSources } from './geometry.js';
import { Loader } from './loader.js';

type Image = readonly [number, number, number];

function dataset(count: number, image: Image): Dataset {
  const pixels = ramp(count * image[0] * image[1] * image[2]);
  return {
    name: 'test-set',
    split: 'train',
    classes: 10,
    image,
    count,
    pixels,
    labels: ramp(count).map((i) => i % 10),
  };
}

function config(changes: Partial<DataConfig> = {}): DataConfig {
  const augment = { resizedCrop: null, crop: null, flip: false };
  const whole = { resize: null, columns: null, convert: null };
  return { dataset: 'digits', batch: 4, normalize: { mean: [0], std: [1 / 255] }, augment, ...whole, ...changes };
}

const train = { seed: 1, train: true };
const test = { seed: 1, train: false };

/** With mean 0 and std 1/255 the normalised values are the pixel values, to rounding. */
const values = (data: Float32Array) => [...data].map(Math.round);

describe('axisSources', () => {
  /** The pixel at each position, -1 for black. */
  const line = (axis: Parameters<typeof axisSources>[0], offset: number, flip = false) => {
    const { positions, sources } = axisSources(axis, offset, flip);
    const shown = Array<number>(axis.size).fill(-1);
    positions.forEach((position, i) => (shown[position] = sources[i] as number));
    return shown;
  };
  const axis = { stored: 4, size: 4, pad: 2, mode: 'zero' } as const;

  it('pads with zeros', () => {
    expect(line(axis, 0)).toEqual([-1, -1, 0, 1]);
    expect(line(axis, 2)).toEqual([0, 1, 2, 3]);
    expect(line(axis, 4)).toEqual([2, 3, -1, -1]);
  });

  it('reflects without repeating the edge, as PyTorch does', () => {
    expect(line({ ...axis, mode: 'reflect' }, 0)).toEqual([2, 1, 0, 1]);
    expect(line({ ...axis, mode: 'reflect' }, 4)).toEqual([2, 3, 2, 1]);
    expect(line({ ...axis, pad: 3, mode: 'reflect' }, 0)).toEqual([3, 2, 1, 0]);
  });

  it('flips after the crop', () => {
    expect(line(axis, 0, true)).toEqual([1, 0, -1, -1]);
  });

  it('centres small images, the odd pixel on the far side', () => {
    expect(line({ stored: 2, size: 5, pad: 0, mode: 'zero' }, 0)).toEqual([-1, 0, 1, -1, -1]);
    expect(line({ stored: 2, size: 4, pad: 2, mode: 'reflect' }, 0)).toEqual([1, 0, -1, 0]);
  });
});

describe('Loader', () => {
  it('gives test images in file order, all of them, as they are', () => {
    const loader = new Loader(
      dataset(10, [1, 2, 2]),
      config({ augment: { resizedCrop: null, crop: { pad: 1, mode: 'zero' }, flip: true } }),
      [1, 2, 2],
      test,
    );
    expect(loader.batchesPerEpoch).toBe(3);
    const [first, , last] = [0, 1, 2].map((i) => loader.batch(0, i));
    expect(first!.image).toMatchObject({ dtype: 'float32', shape: [4, 1, 2, 2] });
    expect(values(first!.image.data)).toEqual([...ramp(16)]);
    expect(last!.image.shape).toEqual([2, 1, 2, 2]);
    expect(values(last!.image.data)).toEqual([...ramp(40).subarray(32)]);
    expect(last!.label).toEqual({ dtype: 'int64', shape: [2], data: BigInt64Array.of(8n, 9n) });
  });

  it('gives each training image at most once an epoch, with its label, and leaves the incomplete batch out', () => {
    const loader = new Loader(dataset(10, [1, 1, 1]), config(), [1, 1, 1], train);
    expect(loader.batchesPerEpoch).toBe(2);
    const orders = [0, 1].map((epoch) =>
      [0, 1].flatMap((i) => {
        const { image, label } = loader.batch(epoch, i);
        expect(values(image.data)).toEqual([...label.data].map(Number));
        return values(image.data);
      }),
    );
    for (const order of orders) expect(new Set(order).size).toBe(8);
    expect(orders[0]).not.toEqual(orders[1]);
  });

  it('depends on seed, epoch and index, not on the order of questions', () => {
    const augment = { resizedCrop: null, crop: { pad: 2, mode: 'reflect' }, flip: true } as const;
    const make = (seed: number) =>
      new Loader(dataset(20, [3, 6, 5]), config({ augment }), [3, 6, 5], { seed, train: true });
    const forwards = make(3);
    const seen = [0, 1, 2].flatMap((epoch) =>
      [0, 1, 2, 3, 4].map((i) => ({ epoch, i, batch: forwards.batch(epoch, i) })),
    );
    const backwards = make(3);
    for (const { epoch, i, batch } of seen.reverse()) expect(backwards.batch(epoch, i)).toEqual(batch);
    expect(make(4).batch(0, 0)).not.toEqual(make(3).batch(0, 0));
  });

  it('normalises per channel, with one mean or std for all where only one is given', () => {
    const normalize = { mean: [0.5, 0.25, 0], std: [0.2] };
    const loader = new Loader(dataset(2, [3, 1, 2]), config({ batch: 2, normalize }), [3, 1, 2], test);
    const { data } = loader.batch(0, 0).image;
    const expected = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((pixel, i) =>
      Math.fround((pixel / 255 - [0.5, 0.25, 0][Math.floor(i / 2) % 3]!) / 0.2),
    );
    expect([...data]).toEqual(expected);
  });

  it('repeats grey and centres on black', () => {
    const convert = { channels: 3, pad: [3, 4] } as const;
    const normalize = { mean: [0.5], std: [0.5 / 255] };
    const loader = new Loader(dataset(1, [1, 2, 2]), config({ batch: 1, convert, normalize }), [3, 3, 4], test);
    const black = -255;
    const plane = [black, -255, -253, black, black, -251, -249, black, ...Array<number>(4).fill(black)];
    expect(values(loader.batch(0, 0).image.data)).toEqual([...plane, ...plane, ...plane]);
  });

  /** Padding, cropping and flipping spelt out on whole images. */
  function spelledOut(
    pixels: number[][],
    pad: number,
    mode: 'zero' | 'reflect',
    top: number,
    left: number,
    flip: boolean,
  ) {
    const [height, width] = [pixels.length, pixels[0]!.length];
    const outside = (i: number, n: number) => (mode === 'zero' ? -1 : i < 0 ? -i : i >= n ? 2 * n - 2 - i : i);
    const at = (i: number, n: number) => (i >= 0 && i < n ? i : outside(i, n));
    const padded = Array.from({ length: height + 2 * pad }, (_, y) =>
      Array.from({ length: width + 2 * pad }, (_, x) => pixels[at(y - pad, height)]?.[at(x - pad, width)] ?? 0),
    );
    const cropped = padded.slice(top, top + height).map((row) => row.slice(left, left + width));
    return (flip ? cropped.map((row) => row.reverse()) : cropped).flat();
  }

  it.each(['zero', 'reflect'] as const)(
    'crops (%s) and flips: every crop is one of those possible, and all occur',
    (mode) => {
      const [height, width, pad] = [3, 4, 2];
      const pixels = Array.from({ length: height }, (_, y) =>
        Array.from({ length: width }, (_, x) => 1 + y * width + x),
      );
      const flat = Uint8Array.from({ length: 500 * 12 }, (_, i) => 1 + (i % 12));
      const images = { ...dataset(500, [1, height, width]), pixels: flat };
      const augment = { resizedCrop: null, crop: { pad, mode }, flip: true };
      const loader = new Loader(images, config({ batch: 500, augment }), [1, height, width], train);
      const offsets = Array.from({ length: 2 * pad + 1 }, (_, i) => i);
      const possible = new Map(
        offsets.flatMap((top) =>
          offsets.flatMap((left) =>
            [false, true].map((flip) => [spelledOut(pixels, pad, mode, top, left, flip).join(), 0] as [string, number]),
          ),
        ),
      );
      for (const epoch of [0, 1, 2, 3]) {
        const data = values(loader.batch(epoch, 0).image.data);
        for (let i = 0; i < 500; i++) {
          const image = data.slice(12 * i, 12 * i + 12).join();
          expect(possible.has(image)).toBe(true);
          possible.set(image, possible.get(image)! + 1);
        }
      }
      expect(Math.min(...possible.values())).toBeGreaterThan(10); // 2000 draws of 50 (fewer if some look alike)
    },
  );

  it('refuses places that do not exist', () => {
    const loader = new Loader(dataset(8, [1, 1, 1]), config(), [1, 1, 1], train);
    for (const [epoch, index] of [
      [0, 2],
      [0, -1],
      [-1, 0],
      [0.5, 0],
      [0, 0.5],
    ] as const) {
      expect(() => loader.batch(epoch, index)).toThrow(UsageError);
    }
  });

  const normalize = (mean: number[], std: number[]) => ({ normalize: { mean, std } });
  const crop = (pad: number, mode: 'zero' | 'reflect') => ({
    augment: { resizedCrop: null, crop: { pad, mode }, flip: false },
  });
  it.each<[string, Image, Partial<DataConfig>, Image, string, string]>([
    [
      'grey for colour',
      [1, 28, 28],
      {},
      [3, 32, 32],
      'DATA_IMAGE_MISMATCH',
      'images of test-set are [1, 28, 28] (channels, height, width), but network.image is [3, 32, 32]; set "data": {"convert": {"channels": 3, "pad": [32, 32]}}',
    ],
    [
      'grey for colour of one size',
      [1, 8, 8],
      {},
      [3, 8, 8],
      'DATA_IMAGE_MISMATCH',
      'images of test-set are [1, 8, 8] (channels, height, width), but network.image is [3, 8, 8]; set "data": {"convert": {"channels": 3}}',
    ],
    [
      'a wrong conversion',
      [1, 28, 28],
      { convert: { channels: 3, pad: [30, 30] } },
      [1, 32, 32],
      'DATA_IMAGE_MISMATCH',
      'images of test-set are [3, 30, 30] (channels, height, width), but network.image is [1, 32, 32]; set "data": {"convert": {"pad": [32, 32]}}',
    ],
    [
      'a needless conversion',
      [1, 8, 8],
      { convert: { channels: 3, pad: null } },
      [1, 8, 8],
      'DATA_IMAGE_MISMATCH',
      'images of test-set are [3, 8, 8] (channels, height, width), but network.image is [1, 8, 8]; leave "convert" out of "data"',
    ],
    [
      'images that are too large',
      [3, 32, 32],
      {},
      [3, 28, 28],
      'DATA_IMAGE_MISMATCH',
      'images of test-set are [3, 32, 32] (channels, height, width), but network.image is [3, 28, 28]; set "network": {"image": [3, 32, 32]}',
    ],
    [
      'colour made grey',
      [3, 8, 8],
      { convert: { channels: 1, pad: null } },
      [1, 8, 8],
      'DATA_CONVERT',
      'data.convert.channels is 1, but images of test-set have 3 channels: only grey ones can be repeated',
    ],
    [
      'padding to less',
      [1, 8, 8],
      { convert: { channels: null, pad: [8, 6] } },
      [1, 8, 6],
      'DATA_CONVERT',
      'data.convert.pad is [8, 6], but images of test-set are 8 × 8; allowed: at least [8, 8]',
    ],
    [
      'two means',
      [3, 8, 8],
      normalize([1, 2], [1]),
      [3, 8, 8],
      'DATA_NORMALIZE',
      'data.normalize.mean has 2 values; allowed: 3 (one a channel) or one for all',
    ],
    [
      'no std',
      [1, 8, 8],
      normalize([1], []),
      [1, 8, 8],
      'DATA_NORMALIZE',
      'data.normalize.std has 0 values; allowed: one',
    ],
    [
      'a std of zero',
      [1, 8, 8],
      normalize([0.5], [0]),
      [1, 8, 8],
      'DATA_NORMALIZE',
      'data.normalize holds 0; allowed: finite means, std above 0',
    ],
    [
      'a mean that is NaN',
      [1, 8, 8],
      normalize([NaN], [1]),
      [1, 8, 8],
      'DATA_NORMALIZE',
      'data.normalize holds NaN; allowed: finite means, std above 0',
    ],
    [
      'reflection past the image',
      [1, 8, 6],
      crop(6, 'reflect'),
      [1, 8, 6],
      'DATA_CROP',
      'data.augment.crop.pad is 6; allowed for mode "reflect" on 8 × 6: 0 to 5',
    ],
    [
      'zeros past the image',
      [1, 8, 6],
      crop(7, 'zero'),
      [1, 8, 6],
      'DATA_CROP',
      'data.augment.crop.pad is 7; allowed for mode "zero" on 8 × 6: 0 to 6',
    ],
    [
      'batches over the data set',
      [1, 8, 8],
      { batch: 9 },
      [1, 8, 8],
      'DATA_BATCH',
      'data.batch is 9, but test-set has 8 train images; allowed: at most that',
    ],
    [
      'batches of none',
      [1, 8, 8],
      { batch: 0 },
      [1, 8, 8],
      'DATA_BATCH',
      'data.batch is 0; allowed: a whole number from 1',
    ],
  ])('refuses %s', (_, stored, changes, image, code, message) => {
    let error: unknown;
    try {
      new Loader(dataset(8, stored), config(changes), image, train);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code, message });
  });

  it('suggests conversions that it then accepts', () => {
    const side = fc.integer({ min: 1, max: 6 });
    const image = fc.tuple(fc.constantFrom(1, 3), side, side);
    fc.assert(
      fc.property(image, image, (stored, network) => {
        const images = dataset(4, stored);
        try {
          new Loader(images, config(), network, train);
        } catch (error) {
          const [, json] = /; set (.*)$/.exec((error as Error).message) ?? [];
          const advice = JSON.parse(`{${json}}`) as { network?: { image: Image }; data?: { convert: object } };
          const convert = { channels: null, pad: null, ...advice.data?.convert };
          new Loader(images, config({ convert }), advice.network?.image ?? network, train);
        }
      }),
    );
  });
});
