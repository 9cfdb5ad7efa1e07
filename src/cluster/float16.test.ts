import { describe, expect, it } from 'vitest';
import { fromFloat16, toFloat16 } from './float16.js';

const half = (number: number): number => toFloat16(Float32Array.of(number))[0]!;

describe('float16', () => {
  it.each([
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [1 / 3, 0x3555],
    [65504, 0x7bff], // the largest
    [65519.996, 0x7bff],
    [65520, 0x7c00], // a tie: to even, which is infinity
    [1e30, 0x7c00],
    [-Infinity, 0xfc00],
    [NaN, 0x7e00],
    [2 ** -14, 0x0400], // the smallest normal
    [2 ** -14 - 2 ** -24, 0x03ff], // the largest denormal
    [2 ** -14 - 2 ** -25, 0x0400], // a tie: to even, a carry into the exponent
    [2 ** -24, 0x0001], // the smallest
    [2 ** -25, 0x0000], // a tie: to even, which is zero
    [2 ** -25 * 1.0001, 0x0001],
    [1.5 * 2 ** -24, 0x0002],
    [2.5 * 2 ** -24, 0x0002],
    [1e-40, 0x0000], // a denormal float32
    [1 + 2 ** -11, 0x3c00], // ties
    [1 + 3 * 2 ** -11, 0x3c02],
    [1 + 2 ** -11 + 2 ** -20, 0x3c01],
    [2 - 2 ** -12, 0x4000], // a carry into the exponent
  ])('%f becomes the half with the bits %i', (number, expected) => expect(half(number)).toBe(expected));

  it('all halves are float32 numbers, and come back', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const numbers = fromFloat16(all);
    for (const [bits, number] of numbers.entries()) {
      expect(number, `0x${bits.toString(16)}`).toBe(valueOf(bits));
    }
    const back = toFloat16(numbers);
    const isNaN = (bits: number): boolean => (bits & 0x7fff) > 0x7c00;
    for (const bits of all) {
      const expected = isNaN(bits) ? (bits & 0x8000) | 0x7e00 : bits;
      if (back[bits] !== expected) expect.fail(`0x${bits.toString(16)} came back as 0x${back[bits]!.toString(16)}`);
    }
  });
});

/** IEEE 754-2019, section 3.4. */
function valueOf(bits: number): number {
  const sign = bits < 0x8000 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? 2 ** -14 * fraction : 2 ** (exponent - 15) * (1 + fraction));
}
