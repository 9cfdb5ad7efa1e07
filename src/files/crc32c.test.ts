import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c, maskedCrc32c } from './crc32c.js';

describe('crc32c', () => {
  it('gives the check values of RFC 3720', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(new Uint8Array())).toBe(0);
  });

  it('of bytes in pieces is that of all of them, bit by bit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
        const inPieces = crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut)));
        expect(inPieces).toBe(crc32c(bytes));
        expect(inPieces).toBe(bitByBit(bytes));
      }),
    );
  });

  it('is masked as TensorFlow does', () => {
    expect(maskedCrc32c(new Uint8Array())).toBe(0xa282ead8);
    // rotate right by 15: 0xe3069283 → 0x2507c60d; + 0xa282ead8 = 0xc78ab0e5
    expect(maskedCrc32c(Buffer.from('123456789'))).toBe(0xc78ab0e5);
  });
});

/** The definition: the remainder of a division of polynomials over GF(2). */
function bitByBit(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
