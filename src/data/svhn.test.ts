import fc from 'fast-check';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { matFile, type MatVariable } from '../../test/mat-file.js';
import { InputError } from '../errors.js';
import { loadDataset } from './load.js';
import { decodeSvhn } from './svhn.js';

/** What tools wrote the fixtures with: row, column, channel and image of a pixel. */
const pixel = (row: number, column: number, channel: number, image: number) =>
  (7 * image + 3 * row + 5 * column + 11 * channel) % 256;

/** Column-major, as MATLAB stores it. */
function stored(count: number): Uint8Array {
  return Uint8Array.from({ length: 3072 * count }, (_, i) =>
    pixel(i % 32, Math.floor(i / 32) % 32, Math.floor(i / 1024) % 3, Math.floor(i / 3072)),
  );
}

/** Row-major, as networks take it. */
function expected(count: number): Uint8Array {
  return Uint8Array.from({ length: 3072 * count }, (_, i) =>
    pixel(Math.floor(i / 32) % 32, i % 32, Math.floor(i / 1024) % 3, Math.floor(i / 3072)),
  );
}

const images = (count: number, changes: Partial<MatVariable> = {}): MatVariable => ({
  name: 'X',
  dims: [32, 32, 3, count],
  data: stored(count),
  ...changes,
});
const labels = (values: number[], changes: Partial<MatVariable> = {}): MatVariable => ({
  name: 'y',
  dims: [values.length, 1],
  data: Uint8Array.from(values),
  ...changes,
});

describe('decodeSvhn', () => {
  it('turns images row-major, and label 10 into class 0', async () => {
    const found = await decodeSvhn(matFile([images(3), labels([10, 1, 9])]), 'a');
    expect(found.count).toBe(3);
    expect([...found.labels]).toEqual([0, 1, 9]);
    expect(found.pixels).toEqual(expected(3));
  });

  it.each([
    ['uncompressed', [images(2, { compressed: false }), labels([1, 2], { compressed: false })], {}],
    ['big-endian', [images(2), labels([1, 2])], { littleEndian: false }],
    ['in the other order, with something else between', [labels([1, 2]), images(1, { name: 'Z' }), images(2)], {}],
    ['with labels in a row', [images(2), labels([1, 2], { dims: [1, 2] })], {}],
    ['with labels of class double, stored in bytes', [images(2), labels([1, 2], { kind: 6 })], {}],
    ['with labels stored as doubles', [images(2), labels([1, 2], { kind: 6, type: 9, data: doubles([1, 2]) })], {}],
  ] as const)('reads files %s', async (_, variables, options) => {
    const found = await decodeSvhn(matFile(variables, options), 'a');
    expect([...found.labels]).toEqual([1, 2]);
    expect(found.pixels).toEqual(expected(2));
  });

  it('reads one image, whose last dimension MATLAB leaves out', async () => {
    expect((await decodeSvhn(matFile([images(1, { dims: [32, 32, 3] }), labels([5])]), 'a')).count).toBe(1);
  });

  it("reads what SciPy's savemat writes, to the byte", async () => {
    const file = await readFile(join(import.meta.dirname, '../../test/fixtures/svhn-scipy.mat'));
    const found = await decodeSvhn(file, 'a');
    expect([...found.labels]).toEqual([1, 0, 9, 2]);
    expect(found.pixels).toEqual(expected(4));
  });

  const sound = [images(2), labels([1, 2])];
  const flipped = (at: (bytes: Uint8Array) => number, value: number) => {
    const bytes = matFile(sound);
    bytes[at(bytes)] = value;
    return bytes;
  };
  it.each<[string, Uint8Array, string, RegExp | string]>([
    ['nothing', new Uint8Array(), 'DATASET_TRUNCATED', 'a: ends at byte 0, within the 128-byte header of a MAT-file'],
    ['another file', new Uint8Array(200), 'DATASET_FORMAT', /^a: bytes 124 to 127 are 0 0 0 0; a MAT-file of level 5/],
    [
      'HDF5',
      matFile([], { text: 'MATLAB 7.3 MAT-file' }),
      'DATASET_FORMAT',
      'a: is a MAT-file of version 7.3 (HDF5); save it with -v7',
    ],
    ['no variables', matFile([]), 'DATASET_FORMAT', 'a: has no variable "X"'],
    ['no labels', matFile([images(1)]), 'DATASET_FORMAT', 'a: has no variable "y"'],
    ['labels twice', matFile([...sound, labels([1])]), 'DATASET_FORMAT', 'a: has the variable "y" twice'],
    [
      'a cut file',
      matFile(sound).subarray(0, 180),
      'DATASET_TRUNCATED',
      /^a: the element at byte 128 has \d+ bytes, but only 44 are there$/,
    ],
    [
      'a cut tag',
      matFile(sound).subarray(0, 132),
      'DATASET_TRUNCATED',
      'a: ends at byte 132, within the tag at byte 128',
    ],
    [
      'a damaged stream',
      flipped(() => 140, 0xff),
      'ZLIB_INVALID',
      /^a: the variable at byte 128: its zlib data is damaged/,
    ],
    [
      'another element',
      flipped(() => 128, 7),
      'DATASET_FORMAT',
      /^a: the variable at byte 128: is an element of type 7; allowed: 14/,
    ],
    [
      'grey images',
      matFile([images(2, { dims: [32, 32, 2, 3] }), labels([1, 2])]),
      'DATASET_FORMAT',
      /^a: X is 32 × 32 × 2 × 3 of type uint8; allowed: 32 × 32 × 3 × N/,
    ],
    [
      'images of doubles',
      matFile([images(2, { kind: 6, type: 9, data: new Uint8Array(8 * 6144) }), labels([1, 2])]),
      'DATASET_FORMAT',
      /of type double; allowed/,
    ],
    [
      'too few pixels',
      matFile([images(3, { data: stored(2) }), labels([1, 2, 3])]),
      'DATASET_FORMAT',
      /take 9216 bytes, but 6144 are there/,
    ],
    ['no images', matFile([images(0), labels([])]), 'DATASET_EMPTY', /no images$/],
    [
      'a negative dimension',
      matFile([images(2, { dims: [32, 32, 3, -2] }), labels([1, 2])]),
      'DATASET_FORMAT',
      /allowed: none below 0/,
    ],
    [
      'more images than labels',
      matFile([images(2), labels([1])]),
      'DATASET_COUNTS',
      'a: y has 1 labels, but X has 2 images',
    ],
    [
      'a square of labels',
      matFile([images(4), labels([1, 2, 3, 4], { dims: [2, 2] })]),
      'DATASET_FORMAT',
      'a: y is 2 × 2; allowed: N × 1',
    ],
    [
      'label 0',
      matFile([images(2), labels([1, 0])]),
      'DATASET_LABEL',
      'a: image 1: label 0; allowed: 1 to 10 (10 is the digit 0)',
    ],
    ['label 11', matFile([images(1), labels([11])]), 'DATASET_LABEL', /label 11/],
    [
      'half a label',
      matFile([images(1), labels([1], { kind: 6, type: 9, data: doubles([1.5]) })]),
      'DATASET_LABEL',
      /label 1.5/,
    ],
    [
      'a cell array',
      matFile([images(2, { kind: 1 }), labels([1, 2])]),
      'DATASET_FORMAT',
      /\("X"\): found class 1, allowed: an array of real numbers/,
    ],
    ['complex numbers', matFile([images(2, { kind: 0x0809 }), labels([1, 2])]), 'DATASET_FORMAT', /complex/],
  ])('refuses %s', async (_, bytes, code, message) => {
    const error: unknown = await decodeSvhn(bytes, 'a').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({
      code,
      message: typeof message === 'string' ? message : (expect.stringMatching(message) as string),
    });
  });

  it('refuses a bomb: a stream that says little and holds much', async () => {
    const bytes = matFile([images(600, { data: new Uint8Array(600 * 3072) }), labels([1])]);
    const packed = bytes.subarray(136);
    const { inflateSync, deflateSync } = await import('node:zlib');
    const plain = inflateSync(packed);
    plain.writeUInt32LE(80, 4);
    const lying = deflateSync(plain);
    const file = Buffer.concat([bytes.subarray(0, 128), Buffer.from(Uint32Array.of(15, lying.length).buffer), lying]);
    await expect(decodeSvhn(file, 'a')).rejects.toMatchObject({ code: 'ZLIB_SIZE' });
    plain.writeUInt32LE(0xf0000000, 4);
    const large = deflateSync(plain);
    const huge = Buffer.concat([bytes.subarray(0, 128), Buffer.from(Uint32Array.of(15, large.length).buffer), large]);
    await expect(decodeSvhn(huge, 'a')).rejects.toMatchObject({ code: 'DATASET_TOO_LARGE' });
  });

  it('survives truncation and flipped bits', async () => {
    const files = [true, false].map((compressed) =>
      matFile([images(2, { compressed }), labels([3, 10], { compressed })]),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), fc.nat(), fc.nat(), async (sound, cut, flip) => {
        const bytes = Uint8Array.from(sound.subarray(0, cut % 3 === 0 ? cut % (sound.length + 1) : sound.length));
        const bit = flip % (bytes.length * 8 + 1);
        if (bit < bytes.length * 8) bytes[bit >> 3]! ^= 1 << (bit & 7);
        try {
          const found = await decodeSvhn(bytes, 'a');
          expect(found.pixels).toHaveLength(2 * 3072);
          expect(found.labels).toHaveLength(2);
          expect(found.labels.every((label) => label < 10)).toBe(true);
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
          expect(error.message).toMatch(/^a: [^\n]+$/);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('loadDataset of SVHN', () => {
  let root: string;
  beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), 'hpff-svhn-'))));
  afterEach(() => rm(root, { recursive: true }));

  it('finds the files in the folder or in svhn, and tells the remedy', async () => {
    await writeFile(join(root, 'test_32x32.mat'), matFile([images(1), labels([4])]));
    expect(await loadDataset('svhn', 'test', root)).toMatchObject({
      name: 'svhn',
      split: 'test',
      classes: 10,
      image: [3, 32, 32],
      count: 1,
    });
    await mkdir(join(root, 'svhn'));
    await writeFile(join(root, 'svhn', 'train_32x32.mat'), matFile([images(2), labels([4, 5])]));
    expect((await loadDataset('svhn', 'train', root)).count).toBe(2);
    await rm(join(root, 'svhn', 'train_32x32.mat'));
    await expect(loadDataset('svhn', 'train', root)).rejects.toThrow(
      `svhn: ${root}: no file train_32x32.mat there or in svhn or SVHN; get the cropped digits`,
    );
    await expect(loadDataset('svhn', 'train')).rejects.toThrow('svhn: its files are not bundled');
  });
});

function doubles(values: number[]): Uint8Array {
  return new Uint8Array(Float64Array.from(values).buffer);
}
