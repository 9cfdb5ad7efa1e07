import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { encoded } from '../../../test/image-files.js';
import { InputError } from '../../errors.js';
import { Random } from '../../random.js';
import type { DataConfig } from '../../recipe/types.js';
import type { EncodedDataset } from '../dataset.js';
import { openDataset } from '../open.js';
import { StreamingLoader } from '../streaming-loader.js';
import { ParquetFile } from './file.js';
import { ParquetImages } from './images.js';
import { windowedOrder } from './order.js';

type Options = Parameters<typeof parquetWriteBuffer>[0];
type SchemaElement = NonNullable<Options['schema']>[number];

const optional = { repetition_type: 'OPTIONAL' } as const;
const bytesElement: SchemaElement = { name: 'bytes', type: 'BYTE_ARRAY', ...optional };
const labelElement: SchemaElement = { name: 'label', type: 'INT64', ...optional };
/** As Hugging Face's own writer has it. */
const schema: SchemaElement[] = [
  { name: 'root', num_children: 2 },
  { name: 'image', num_children: 2, ...optional },
  bytesElement,
  { name: 'path', type: 'BYTE_ARRAY', converted_type: 'UTF8', ...optional },
  labelElement,
];

interface Row {
  readonly image: { readonly bytes: Uint8Array | null; readonly path: string };
  readonly label: bigint | null;
}

type WriteOptions = Partial<Options> & { readonly names?: string[] };

function parquet(rows: readonly Row[], { names, ...options }: WriteOptions = {}): Uint8Array {
  const note = { info: { features: { label: { names } } } };
  const kvMetadata = names === undefined ? [] : [{ key: 'huggingface', value: JSON.stringify(note) }];
  const columnData = [
    { name: 'image', data: rows.map(({ image }) => image) },
    { name: 'label', data: rows.map(({ label }) => label) },
  ];
  return new Uint8Array(parquetWriteBuffer({ columnData, schema, rowGroupSize: 3, kvMetadata, ...options }));
}

/** Rows first … first+count-1: gradients of 8 × 8 pixels, labels in turn. */
async function rowsOf(count: number, first = 0, label = (i: number): bigint | null => BigInt(i % 3)): Promise<Row[]> {
  const numbers = Array.from({ length: count }, (_, i) => first + i);
  return Promise.all(
    numbers.map(async (i) => ({ image: { bytes: await encoded('png', 8, 8, i), path: `${i}.png` }, label: label(i) })),
  );
}

let root: string;
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), 'hpff-parquet-'))));
afterEach(() => rm(root, { recursive: true }));

const write = async (name: string, bytes: Uint8Array): Promise<void> => {
  await mkdir(join(root, name, '..'), { recursive: true });
  await writeFile(join(root, name), bytes);
};
const open = (split: 'train' | 'test' = 'train', columns: DataConfig['columns'] = null) =>
  openDataset('parquet', split, { path: root, columns, classes: 3 }) as Promise<EncodedDataset>;

async function refusalOf(work: Promise<unknown>): Promise<InputError> {
  const error = await work.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(InputError);
  expect((error as InputError).message).not.toContain('\n');
  return error as InputError;
}

describe('parquet', () => {
  it('joins the files of a split in order', async () => {
    await write('data/train-00000-of-00002.parquet', parquet(await rowsOf(4)));
    await write('data/train-00001-of-00002.parquet', parquet(await rowsOf(5, 4)));
    await write('data/test-00000-of-00001.parquet', parquet(await rowsOf(1)));
    const train = await open();
    expect(train).toMatchObject({ name: 'parquet', split: 'train', classes: 3, count: 9 });
    expect([...train.labels]).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
    for (const i of [8, 0, 5, 3, 4]) {
      expect((await train.read(i)).bytes).toEqual(await encoded('png', 8, 8, i));
      const file = i < 4 ? 'train-00000-of-00002' : 'train-00001-of-00002';
      expect((await train.read(i)).where).toBe(
        `${join(root, 'data', file)}.parquet: row ${i < 4 ? i : i - 4} (${i}.png)`,
      );
    }
    expect((await open('test')).count).toBe(1);
  });

  it.each([
    ['GZIP', (bytes: Uint8Array) => gzipSync(bytes)],
    ['BROTLI', (bytes: Uint8Array) => brotliCompressSync(bytes)],
    ['UNCOMPRESSED', (bytes: Uint8Array) => bytes],
    ['SNAPPY', undefined],
  ] as const)('reads compression %s', async (codec, compress) => {
    const compressors = compress === undefined ? {} : { [codec]: compress };
    await write('train.parquet', parquet(await rowsOf(5), { codec, compressors }));
    const train = await open();
    expect((await train.read(4)).bytes).toEqual(await encoded('png', 8, 8, 4));
  });

  it('reads what pyarrow writes, to the pixel', async () => {
    await mkdir(join(root, 'train'));
    await copyFile(
      join(import.meta.dirname, '../../../test/fixtures/pyarrow-images.parquet'),
      join(root, 'train/0000.parquet'),
    );
    const train = await open();
    expect([...train.labels]).toEqual([0, 1, 2, 0, 1, 2, 0]);
    const config = { dataset: 'parquet', batch: 7, normalize: { mean: [0], std: [1 / 255] }, resize: 8 } as const;
    const none = { augment: { resizedCrop: null, crop: null, flip: false }, columns: null, convert: null };
    const loader = new StreamingLoader(train, { ...config, ...none }, [3, 8, 8], { seed: 1, train: false });
    const { data } = (await loader.prepare(0, 0)).image;
    for (let n = 0; n < 7; n++) {
      const found = [...data.subarray(192 * n, 192 * (n + 1))].map(Math.round);
      const pixel = (channel: number, y: number, x: number) => [40 * n + 9 * x, 17 * y, 3 * x * y + n][channel]! % 256;
      expect(found).toEqual(found.map((_, i) => pixel(Math.floor(i / 64), Math.floor(i / 8) % 8, i % 8)));
    }
  });

  it('takes columns of other names, and bytes without a group', async () => {
    const rows = await rowsOf(2);
    const flat: SchemaElement[] = [
      { name: 'root', num_children: 2 },
      { ...bytesElement, name: 'img' },
      { ...labelElement, name: 'fine', type: 'INT32' },
    ];
    const columnData = [
      { name: 'img', data: rows.map(({ image }) => image.bytes) },
      { name: 'fine', data: [2, 1] },
    ];
    await write('train.parquet', new Uint8Array(parquetWriteBuffer({ columnData, schema: flat })));
    const train = await open('train', { image: 'img', label: 'fine' });
    expect([...train.labels]).toEqual([2, 1]);
    expect((await train.read(1)).bytes).toEqual(rows[1]!.image.bytes);
    expect((await refusalOf(open())).message).toBe(
      `${join(root, 'train.parquet')}: has no column "image", but img, fine; set "data": {"columns": {"image": …}}`,
    );
  });

  it.each<[string, SchemaElement[], unknown, RegExp]>([
    [
      'groups',
      [
        { name: 'label', num_children: 1, ...optional },
        { ...labelElement, name: 'fine' },
      ],
      { fine: 1n },
      /label is a list or a group; allowed: an integer from 0 to 2$/,
    ],
    [
      'texts',
      [{ name: 'label', type: 'BYTE_ARRAY', converted_type: 'UTF8' }],
      'a\n',
      /label is "a\\u\{a\}"; allowed: /,
    ],
    ['fractions', [{ name: 'label', type: 'DOUBLE' }], 0.5, /label is 0\.5; allowed: /],
    ['truths', [{ name: 'label', type: 'BOOLEAN' }], true, /label is true; allowed: /],
  ])('refuses labels that are %s', async (_, elements, label, message) => {
    const rows = await rowsOf(1);
    const columnData = [
      { name: 'image', data: rows.map(({ image }) => image) },
      { name: 'label', data: [label] },
    ];
    await write('train.parquet', new Uint8Array(parquetWriteBuffer({ columnData, schema: [...schema.slice(0, -1), ...elements] }))); // prettier-ignore
    const error = await refusalOf(open());
    expect({ code: error.code, message: error.message }).toEqual({
      code: 'DATASET_LABEL',
      message: expect.stringMatching(message) as string,
    });
  });

  it('takes the classes that the file names', async () => {
    await write('train.parquet', parquet(await rowsOf(3), { names: ['a', 'b', 'c', 'd'] }));
    expect((await open()).classes).toBe(4);
  });

  it('takes the validation split where the test split has no labels', async () => {
    await write('test.parquet', parquet(await rowsOf(2, 0, () => -1n)));
    expect((await refusalOf(open('test'))).message).toMatch(
      /test\.parquet: all labels are -1; allowed: integers from 0$/,
    );
    await write('validation.parquet', parquet(await rowsOf(4)));
    expect((await open('test')).count).toBe(4);
  });

  it('has a fingerprint of names, sizes and labels', async () => {
    await write('train.parquet', parquet(await rowsOf(3)));
    const before = (await open()).fingerprint;
    await write('train.parquet', parquet(await rowsOf(3, 0, () => 1n)));
    expect((await open()).fingerprint).not.toBe(before);
    await write('train.parquet', parquet(await rowsOf(3)));
    expect((await open()).fingerprint).toBe(before);
  });

  it.each<[string, () => Promise<Uint8Array>, string, RegExp]>([
    [
      'an empty file',
      async () => new Uint8Array(),
      'PARQUET_INVALID',
      /train\.parquet: ends at byte 0; a parquet file has at least 12 bytes$/,
    ],
    [
      'another file',
      async () => Buffer.alloc(99, 'x'),
      'PARQUET_INVALID',
      /starts with the bytes 120 120 120 120; a parquet file starts with 80 65 82 49 \(PAR1\)$/,
    ],
    ['a cut file', async () => parquet(await rowsOf(3)).subarray(0, -30), 'PARQUET_INVALID', /: ends with the bytes /],
    ['no rows', async () => parquet([]), 'DATASET_EMPTY', /has no rows$/],
    [
      'a label outside',
      async () => parquet(await rowsOf(4, 0, (i) => BigInt(i))),
      'DATASET_LABEL',
      /row 3: label is 3; allowed: an integer from 0 to 2$/,
    ],
    [
      'a label missing',
      async () => parquet(await rowsOf(2, 0, (i) => (i === 0 ? 0n : null))),
      'DATASET_LABEL',
      /row 1: label is (null|undefined)/,
    ],
    [
      'one label -1',
      async () => parquet(await rowsOf(3, 0, (i) => BigInt(i - 1))),
      'DATASET_LABEL',
      /row 0: label is -1/,
    ],
  ])('refuses %s', async (_, bytes, code, message) => {
    await write('train.parquet', await bytes());
    const error = await refusalOf(open());
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });

  it('refuses rows without an image, and names an image that cannot be decoded', async () => {
    const rows: Row[] = [...(await rowsOf(1)), { image: { bytes: null, path: 'gone.png' }, label: 0n }];
    await write('train.parquet', parquet(rows));
    const train = await open();
    expect((await refusalOf(train.read(1))).message).toMatch(
      /train\.parquet: row 1: image holds no bytes; allowed: the bytes of an image$/,
    );
  });

  it('refuses a compression that it does not know, and says which it does', async () => {
    await write('train.parquet', parquet(await rowsOf(2), { codec: 'ZSTD', compressors: { ZSTD: (bytes) => bytes } }));
    const error = await refusalOf(open());
    expect(error.code).toBe('PARQUET_COMPRESSION');
    expect(error.message).toMatch(
      /is compressed with ZSTD; allowed: SNAPPY, GZIP, BROTLI or none: write the files anew$/,
    );
  });

  it('names a shard that is missing, and tells what is needed where there is nothing', async () => {
    expect((await refusalOf(open())).message).toBe(
      `parquet: ${root}: no files train-*.parquet; it needs train-*.parquet and test-*.parquet (or validation-*), there or in its folder data`,
    );
    await write('data/train-00000-of-00003.parquet', parquet(await rowsOf(1)));
    await write('data/train-00002-of-00003.parquet', parquet(await rowsOf(1)));
    expect((await refusalOf(open())).message).toBe(
      `parquet: ${join(root, 'data')}: no file train-00001-of-00003*.parquet there`,
    );
  });

  it('survives truncation and flipped bits: an error of one line, or rows', async () => {
    const sound = await readFile(join(import.meta.dirname, '../../../test/fixtures/pyarrow-images.parquet'));
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.nat({ max: sound.length }),
        fc.nat({ max: sound.length * 8 - 1 }),
        async (cut, at, bit) => {
          const bytes = Uint8Array.from(cut ? sound.subarray(0, at) : sound);
          if (bit >> 3 < bytes.length) bytes[bit >> 3]! ^= 1 << (bit & 7);
          await write('train.parquet', bytes);
          try {
            const train = await open();
            for (let i = 0; i < train.count; i++) expect((await train.read(i)).bytes).toBeInstanceOf(Uint8Array);
          } catch (error) {
            if (!(error instanceof InputError)) throw error;
            expect(error.message).toMatch(/^[^\n]+$/);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('leaves no failure behind that nobody waits for, which would end the process', async () => {
    const sound = await readFile(join(import.meta.dirname, '../../../test/fixtures/pyarrow-images.parquet'));
    const unobserved = vi.fn();
    process.on('unhandledRejection', unobserved);
    try {
      // Of the description of the row groups: hyparquet asks for pages, then gives up or is late to wait for them.
      for (const bit of [16227, 16308, 18671, 20242]) {
        const bytes = Uint8Array.from(sound);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        await write('train.parquet', bytes);
        const file = await ParquetFile.open(join(root, 'train.parquet'));
        await refusalOf(file.read('image', 0, file.rows));
        await new Promise(setImmediate);
      }
      expect(unobserved).not.toHaveBeenCalled();
    } finally {
      process.off('unhandledRejection', unobserved);
    }
  });
});

describe('windowedOrder', () => {
  const groups = (sizes: readonly number[], bytes = 10) => {
    let firstRow = 0;
    return sizes.map((rows) => {
      const group = { firstRow, rows, bytes };
      firstRow += rows;
      return group;
    });
  };

  it('takes each row once, and few groups at a time', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 100 }),
        fc.nat(),
        (sizes, window, seed) => {
          const list = groups(sizes);
          const order = windowedOrder(list, window, new Random(seed));
          const total = sizes.reduce((sum, rows) => sum + rows, 0);
          expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, i) => i));
          const groupOf = (row: number) => list.findLastIndex(({ firstRow, rows }) => rows > 0 && firstRow <= row);
          const first = new Map<number, number>();
          const last = new Map<number, number>();
          [...order].forEach((row, i) => {
            if (!first.has(groupOf(row))) first.set(groupOf(row), i);
            last.set(groupOf(row), i);
          });
          const alive = [...order].map(
            (_, i) => [...first.keys()].filter((g) => first.get(g)! <= i && last.get(g)! >= i).length,
          );
          expect(Math.max(0, ...alive)).toBeLessThanOrEqual(Math.max(1, Math.floor(window / 10)));
        },
      ),
    );
  });

  it('shuffles across groups, differently with another seed', () => {
    const order = (seed: number) => [...windowedOrder(groups([50, 50]), 100, new Random(seed))];
    expect(order(1)).not.toEqual(order(2));
    expect(
      order(1)
        .slice(0, 50)
        .filter((row) => row < 50).length,
    ).toBeGreaterThan(10);
    expect(
      order(1)
        .slice(0, 50)
        .filter((row) => row < 50).length,
    ).toBeLessThan(40);
  });
});

describe('ParquetImages', () => {
  it('reads a row group once while its window lasts, and lets go of it afterwards', async () => {
    await write('train.parquet', parquet(await rowsOf(12)));
    const file = await ParquetFile.open(join(root, 'train.parquet'));
    const bytes = file.groups('image')[0]!.bytes;
    let reads = 0;
    const counted = Object.assign(Object.create(file) as ParquetFile, {
      read: (...args: Parameters<ParquetFile['read']>) => {
        reads++;
        return file.read(...args);
      },
    });
    const info = {
      name: 'parquet',
      split: 'train',
      classes: 3,
      count: 12,
      fingerprint: '',
      labels: new Uint16Array(12),
    } as const;
    const images = new ParquetImages(info, [counted], 'image', 2.5 * bytes);
    const seen = new Map<number, Uint8Array>();
    for (const row of images.order(new Random(1))) seen.set(row, (await images.read(row)).bytes);
    expect(reads).toBe(4);
    for (const i of [0, 5, 11]) expect(seen.get(i)).toEqual(await encoded('png', 8, 8, i));
    for (let i = 0; i < 12; i++) await images.read(i);
    expect(reads).toBeLessThanOrEqual(8);
    for (let i = 0; i < 12; i++) await images.read(i);
    expect(reads).toBeGreaterThan(8);
  });
});
