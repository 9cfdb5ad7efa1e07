import fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { InputError } from '../errors.js';
import { gunzipBounded, isGzip } from './gunzip.js';

const content = Uint8Array.from({ length: 5000 }, (_, i) => (i * i) >> 5);
const packed = gzipSync(content);

describe('gunzipBounded', () => {
  it('undoes gzip, up to the last byte that is allowed', async () => {
    expect(new Uint8Array(await gunzipBounded(packed, content.length, 'a.gz'))).toEqual(content);
    expect(await gunzipBounded(gzipSync(''), 0, 'a.gz')).toHaveLength(0);
  });

  it('joins members', async () => {
    const both = await gunzipBounded(Buffer.concat([packed, packed]), 10000, 'a.gz');
    expect(both).toHaveLength(10000);
    expect(new Uint8Array(both.subarray(5000))).toEqual(content);
  });

  it('stops at the bound, long before a bomb has gone off', async () => {
    const bomb = gzipSync(new Uint8Array(200e6), { level: 1 });
    const before = process.memoryUsage().arrayBuffers;
    await expect(gunzipBounded(bomb, 1e6, 'bomb.gz')).rejects.toMatchObject({
      code: 'GZIP_TOO_LARGE',
      message: expect.stringMatching(/^bomb\.gz: decompresses to more than 1000000 bytes/) as string,
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20e6);
    await expect(gunzipBounded(packed, content.length - 1, 'a.gz')).rejects.toMatchObject({ code: 'GZIP_TOO_LARGE' });
  });

  it('says where a truncated file ends', async () => {
    for (const length of [0, 1, 2, 10, 17, packed.length >> 1, packed.length - 8, packed.length - 1]) {
      const cut = gunzipBounded(packed.subarray(0, length), 1e6, 'a.gz');
      await expect(cut).rejects.toMatchObject({ code: 'GZIP_TRUNCATED' });
      if (length > 0) await expect(cut).rejects.toThrow(`the file ends at byte ${length}`);
    }
  });

  it('refuses what follows the data', async () => {
    const zeros = gunzipBounded(Buffer.concat([packed, Buffer.alloc(7)]), 1e6, 'a.gz');
    await expect(zeros).rejects.toThrow(`ends at byte ${packed.length} and 7 bytes follow`);
    const text = gunzipBounded(Buffer.concat([packed, Buffer.from('hello')]), 1e6, 'a.gz');
    await expect(text).rejects.toMatchObject({ code: 'GZIP_INVALID' });
  });

  it('refuses a wrong checksum, and what is no gzip', async () => {
    const bent = Buffer.from(packed);
    bent[packed.length - 6]! ^= 1;
    await expect(gunzipBounded(bent, 1e6, 'a.gz')).rejects.toThrow(/damaged after byte \d+: incorrect data check/);
    await expect(gunzipBounded(Buffer.from('hello'), 1e6, 'a.gz')).rejects.toThrow(/must start with the bytes 1f 8b/);
  });

  it('survives flipped bits with the right bytes or one line', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: packed.length * 8 - 1 }), async (bit) => {
        const bent = Uint8Array.from(packed);
        bent[bit >> 3]! ^= 1 << (bit & 7);
        try {
          expect(new Uint8Array(await gunzipBounded(bent, 1e5, 'a.gz'))).toEqual(content); // a bit of the date, say
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          expect((error as InputError).message).toMatch(/^a\.gz: [^\n]+$/);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('isGzip', () => {
  it('knows the magic bytes', () => {
    expect(isGzip(packed)).toBe(true);
    expect(isGzip(Uint8Array.of(0x1f))).toBe(false);
    expect(isGzip(content)).toBe(false);
  });
});
