import fc from 'fast-check';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cifarFile } from '../../test/data-files.js';
import { InputError } from '../errors.js';
import { cifar10, cifar100, decodeCifar } from './cifar.js';
import { loadDataset } from './load.js';

const RECORD = 3073;

describe('decodeCifar', () => {
  it('takes records apart', () => {
    const { labels, pixels } = decodeCifar(cifar10, cifarFile([[7], [0]]), 'a');
    expect([...labels]).toEqual([7, 0]);
    expect(pixels).toHaveLength(2 * 3072);
    expect([pixels[0], pixels[3071], pixels[3072]]).toEqual([0, 0, 1]);
  });

  it('uses the fine labels of CIFAR-100', () => {
    expect([
      ...decodeCifar(
        cifar100,
        cifarFile([
          [19, 99],
          [0, 20],
        ]),
        'a',
      ).labels,
    ]).toEqual([99, 20]);
  });

  it.each([
    ['an empty file', cifar10, new Uint8Array(), 'DATASET_EMPTY', 'a: is empty'],
    [
      'a cut record',
      cifar10,
      cifarFile([[1], [2]]).subarray(0, 4000),
      'DATASET_TRUNCATED',
      'a: ends at byte 4000, within the record that starts at byte 3073; a cifar10 record has 3073 bytes',
    ],
    [
      'a label outside',
      cifar10,
      cifarFile([[1], [10]]),
      'DATASET_LABEL',
      'a: image 1, byte 3073: label 10; allowed: 0 to 9',
    ],
    [
      'a fine label outside',
      cifar100,
      cifarFile([[1, 100]]),
      'DATASET_LABEL',
      'a: image 0, byte 1: label 100; allowed: 0 to 99',
    ],
    [
      'a coarse label outside',
      cifar100,
      cifarFile([[20, 1]]),
      'DATASET_LABEL',
      'a: image 0, byte 0: label 20; allowed: 0 to 19',
    ],
  ])('refuses %s', (_, layout, bytes, code, message) => {
    let error: unknown;
    try {
      decodeCifar(layout, bytes, 'a');
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code, message });
  });

  it('survives truncation and flipped bits', () => {
    const sound = cifarFile([[1], [2], [3]]);
    fc.assert(
      fc.property(fc.nat({ max: sound.length }), fc.nat({ max: sound.length * 8 - 1 }), (length, bit) => {
        const bytes = Uint8Array.from(sound);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        const whole = length > 0 && length % RECORD === 0;
        const cut = bytes.subarray(0, length);
        const badLabel = cut.some((byte, i) => i % RECORD === 0 && byte > 9);
        try {
          expect(decodeCifar(cifar10, cut, 'a').labels).toHaveLength(length / RECORD);
          expect(whole && !badLabel).toBe(true);
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
          expect(error.message).toMatch(/^a: [^\n]+$/);
          expect(whole && !badLabel).toBe(false);
        }
      }),
    );
  });
});

describe('loadDataset of CIFAR', () => {
  let root: string;
  beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), 'hpff-cifar-'))));
  afterEach(() => rm(root, { recursive: true }));

  async function writeCifar10(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    for (const i of [1, 2, 3, 4, 5]) await writeFile(join(folder, `data_batch_${i}.bin`), cifarFile([[i], [i + 1]]));
    await writeFile(join(folder, 'test_batch.bin'), cifarFile([[9]]));
  }

  it("joins the five files of CIFAR-10, from the folder or the archive's folder in it", async () => {
    for (const sub of ['.', 'cifar-10-batches-bin']) {
      await writeCifar10(join(root, sub));
      const train = await loadDataset('cifar10', 'train', root);
      expect(train).toMatchObject({ name: 'cifar10', split: 'train', classes: 10, image: [3, 32, 32], count: 10 });
      expect([...train.labels]).toEqual([1, 2, 2, 3, 3, 4, 4, 5, 5, 6]);
      expect(train.pixels).toHaveLength(10 * 3072);
      expect([...(await loadDataset('cifar10', 'test', root)).labels]).toEqual([9]);
      await rm(join(root, 'data_batch_1.bin'), { force: true });
      await rm(join(root, 'test_batch.bin'), { force: true });
    }
  });

  it('reads CIFAR-100', async () => {
    await mkdir(join(root, 'cifar-100-binary'));
    await writeFile(join(root, 'cifar-100-binary', 'train.bin'), cifarFile([[0, 42]]));
    expect(await loadDataset('cifar100', 'train', root)).toMatchObject({
      classes: 100,
      count: 1,
      labels: Buffer.of(42),
    });
  });

  it('names the file that is missing and the remedy', async () => {
    await writeCifar10(root);
    await rm(join(root, 'data_batch_3.bin'));
    await expect(loadDataset('cifar10', 'train', root)).rejects.toThrow(
      new InputError(
        'DATASET_MISSING',
        `cifar10: ${root}: no file data_batch_3.bin there or in cifar-10-batches-bin; unpack the binary version ` +
          '(https://www.cs.toronto.edu/~kriz/cifar.html) and give its folder by --data',
      ),
    );
    await expect(loadDataset('cifar10', 'train')).rejects.toThrow('cifar10: its files are not bundled');
    await expect(loadDataset('cifar100', 'train', join(root, 'none'))).rejects.toThrow('no such folder; unpack');
    await expect(loadDataset('cifar10', 'test', join(root, 'test_batch.bin'))).rejects.toThrow(
      'is a file; a folder is',
    );
  });

  it('recognises the Python version', async () => {
    await mkdir(join(root, 'cifar-10-batches-py'));
    await writeFile(join(root, 'cifar-10-batches-py', 'data_batch_1'), '');
    await expect(loadDataset('cifar10', 'train', root)).rejects.toThrow('the Python version: get the binary version');
  });
});
