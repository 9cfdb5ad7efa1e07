import fc from 'fast-check';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { idxFile, ramp } from '../../test/data-files.js';
import { InputError } from '../errors.js';
import { decodeIdx } from './idx.js';
import { readIdx } from './read-idx.js';

const sound = idxFile([2, 3, 4], ramp(24));

describe('decodeIdx', () => {
  it('reads shape and elements', () => {
    expect(decodeIdx(sound, 3, 'a')).toEqual({ shape: [2, 3, 4], elements: ramp(24), offset: 16 });
    expect(decodeIdx(idxFile([0], ramp(0)), 1, 'a').elements).toHaveLength(0);
  });

  const withByte = (at: number, value: number) => sound.with(at, value);
  it.each<[string, Uint8Array, string, string]>([
    ['an empty file', ramp(0), 'DATASET_TRUNCATED', 'a: ends at byte 0, within the idx magic number'],
    ['half a header', sound.subarray(0, 9), 'DATASET_TRUNCATED', 'a: ends at byte 9, within its 16-byte header'],
    [
      'missing elements',
      sound.subarray(0, 39),
      'DATASET_TRUNCATED',
      'a: 2 × 3 × 4 elements end at byte 40, but the file ends at 39',
    ],
    [
      'trailing bytes',
      Buffer.concat([sound, ramp(2)]),
      'DATASET_TRAILING_BYTES',
      'a: 2 × 3 × 4 elements end at byte 40 and 2 bytes follow; allowed: none',
    ],
    [
      'another type',
      withByte(2, 13),
      'DATASET_FORMAT',
      'a: starts with the bytes 0 0 13 3; an idx file of unsigned bytes in 3 dimensions starts with 0 0 8 3',
    ],
    [
      'another rank',
      withByte(3, 1),
      'DATASET_FORMAT',
      'a: starts with the bytes 0 0 8 1; an idx file of unsigned bytes in 3 dimensions starts with 0 0 8 3',
    ],
    [
      'dimensions past the safe integers',
      idxFile([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], ramp(1)),
      'DATASET_TRUNCATED',
      'a: 4294967295 × 4294967295 × 4294967295 elements end at byte 79228162458924105385300197391, but the file ends at 17',
    ],
  ])('refuses %s', (_, bytes, code, message) => {
    expect(() => decodeIdx(bytes, 3, 'a')).toThrow(new InputError(code, message));
    try {
      decodeIdx(bytes, 3, 'a');
    } catch (error) {
      expect(error).toMatchObject({ code });
    }
  });

  it('refuses every truncation, and any flipped bit of the header', () => {
    for (let length = 0; length < sound.length; length++) {
      expect(() => decodeIdx(sound.subarray(0, length), 3, 'a')).toThrow(InputError);
    }
    for (let bit = 0; bit < 16 * 8; bit++) {
      expect(() => decodeIdx(withByte(bit >> 3, (sound[bit >> 3] ?? 0) ^ (1 << (bit & 7))), 3, 'a')).toThrow(
        InputError,
      );
    }
  });

  it('survives any bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ maxLength: 40 }).map((tail) => Uint8Array.from([0, 0, 8, 3, ...tail])),
    );
    fc.assert(
      fc.property(bytes, (bytes) => {
        try {
          expect(decodeIdx(bytes, 3, 'a').elements.length + 16).toBe(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          expect((error as InputError).message).toMatch(/^a: [^\n]+$/);
        }
      }),
    );
  });
});

describe('readIdx', () => {
  let folder: string;
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'hpff-idx-'))));
  afterAll(() => rm(folder, { recursive: true }));

  it('reads gzipped and bare files, whatever they are called', async () => {
    for (const [name, bytes] of [
      ['a.gz', gzipSync(sound)],
      ['b.gz', sound],
      ['c', gzipSync(sound)],
    ] as const) {
      await writeFile(join(folder, name), bytes);
      const { bytes: content, where } = await readIdx(join(folder, name));
      expect(decodeIdx(content, 3, where).shape).toEqual([2, 3, 4]);
    }
  });

  it('refuses a bomb', async () => {
    const member = gzipSync(Buffer.alloc(2 ** 24), { level: 1 });
    await writeFile(join(folder, 'bomb.gz'), Buffer.concat(Array<Buffer>(9).fill(member))); // 9 × 16 MiB
    await expect(readIdx(join(folder, 'bomb.gz'))).rejects.toMatchObject({ code: 'GZIP_TOO_LARGE' });
  });
});
