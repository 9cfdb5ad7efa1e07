/** IEEE 754 binary16, as features may travel: 11 bits of precision, up to 65504. */

/**
 * Each number rounded to the nearest half, ties to even: lossy. What rounds beyond 65504 becomes an infinity, what is
 * below 2⁻²⁴ / 2 a zero of its sign; every NaN becomes the quiet one of its sign.
 */
export function toFloat16(numbers: Float32Array): Uint16Array {
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) halves[i] = halfOf(bits[i]!);
  return halves;
}

/** Exact: each half is a float32. @param buffer for the numbers, of their size */
export function fromFloat16(halves: Uint16Array, buffer = new ArrayBuffer(4 * halves.length)): Float32Array {
  const bits = new Uint32Array(buffer);
  for (let i = 0; i < halves.length; i++) bits[i] = singleOf(halves[i]!);
  return new Float32Array(buffer);
}

const SINGLE_INFINITY = 0x7f800000;
/** 65520, half-way between 65504 and 65536: ties to even, thus to infinity. */
const OVERFLOWS_FROM = 0x477ff000;
/** 2⁻¹⁴, the smallest normal half. */
const NORMAL_FROM = 0x38800000;
/** 2⁻²⁵, half the smallest half: ties to even, thus to zero. */
const ZERO_TO = 0x33000000;

function halfOf(single: number): number {
  const sign = (single >>> 16) & 0x8000;
  const size = single & 0x7fffffff;
  if (size > SINGLE_INFINITY) return sign | 0x7e00;
  if (size >= OVERFLOWS_FROM) return sign | 0x7c00;
  if (size >= NORMAL_FROM) return sign | roundedShift(size - (112 << 23), 13); // exponents are biased by 127 and 15
  if (size <= ZERO_TO) return sign;
  const significand = (size & 0x7fffff) | 0x800000;
  return sign | roundedShift(significand, 126 - (size >>> 23));
}

/** value / 2ᵏ to the nearest, ties to even. A carry runs into the exponent, which is what it should do. */
function roundedShift(value: number, k: number): number {
  const half = 1 << (k - 1);
  const isOdd = (value >>> k) & 1;
  return (value + half - 1 + isOdd) >>> k;
}

function singleOf(half: number): number {
  const sign = ((half & 0x8000) << 16) >>> 0;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return (sign | SINGLE_INFINITY | (fraction << 13)) >>> 0;
  if (exponent > 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21; // brings the leading one to bit 10
  return (sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)) >>> 0;
}
