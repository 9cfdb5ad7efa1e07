/**
 * Seeded random numbers: shuffles, augmentation and initial weights all draw from here. A generator is named by a seed
 * and a stream of names, so what one place draws never depends on what another drew before it.
 */
import { UsageError } from './errors.js';

const TWO_POW_32 = 2 ** 32;

/** Any array whose items can be swapped, typed or not. */
interface Swappable<T> {
  readonly length: number;
  [index: number]: T;
}

/**
 * A stream of random numbers: xoshiro128** 1.1 (Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", 2021), its state hashed from the seed and the stream's name. Not for secrets.
 *
 * The same arguments give the same numbers on every machine: the bits are integer arithmetic, and `normal` uses only
 * functions of `Math` that V8 computes in software.
 */
export class Random {
  private readonly state: Uint32Array;
  private spareNormal: number | null = null;

  /**
   * @param seed any finite number
   * @param stream names what the numbers are for, e.g. `'shuffle', epoch`; other names, other numbers
   * @throws UsageError a number that is not finite
   */
  constructor(seed: number, ...stream: (string | number)[]) {
    this.state = hashToState([seed, ...stream]);
  }

  /** Uniform integer in [0, 2³²). */
  uint32(): number {
    return xoshiro128(this.state);
  }

  /** Uniform double in [0, 1), with 53 random bits. */
  uniform(): number {
    const high = this.uint32() >>> 5; // 27 bits
    const low = this.uint32() >>> 6; // 26 bits
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** Standard normal double: mean 0, standard deviation 1 (Box and Muller, 1958). */
  normal(): number {
    if (this.spareNormal !== null) {
      const spare = this.spareNormal;
      this.spareNormal = null;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform())); // 1 - u is never 0
    const angle = 2 * Math.PI * this.uniform();
    this.spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /**
   * Uniform integer in [0, n), without the bias of a bare remainder.
   * @throws UsageError unless n is an integer in 1 … 2³²
   */
  int(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > TWO_POW_32) {
      throw new UsageError('RANDOM_RANGE', `Random.int: n is ${n}; allowed: an integer from 1 to ${TWO_POW_32}`);
    }
    const limit = TWO_POW_32 - (TWO_POW_32 % n); // largest multiple of n: draws past it are thrown away
    let draw = this.uint32();
    while (draw >= limit) draw = this.uint32();
    return draw % n;
  }

  /** Shuffles in place, every order equally likely (Fisher and Yates), and returns the same array. */
  shuffle<T, A extends Swappable<T>>(items: A & Swappable<T>): A {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      const kept = items[i] as T;
      items[i] = items[j] as T;
      items[j] = kept;
    }
    return items;
  }
}

/** One step of xoshiro128** 1.1: advances the four words of state in place and returns the next 32 bits. */
export function xoshiro128(state: Uint32Array): number {
  // Not taken apart as [a, b, c, d]: that goes through an iterator, which costs ten times all the rest.
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
  const shifted = b << 9;
  c ^= a;
  d ^= b;
  b ^= c;
  a ^= d;
  c ^= shifted;
  d = rotateLeft(d, 11);
  state[0] = a;
  state[1] = b;
  state[2] = c;
  state[3] = d;
  return result;
}

function rotateLeft(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** Hashes the parts into a state. Each part enters with its kind and length, so ['ab'], ['a', 'b'] and [1], ['1'] differ. */
function hashToState(parts: readonly (string | number)[]): Uint32Array {
  const state = Uint32Array.of(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344); // digits of pi
  for (const part of parts) {
    if (typeof part === 'string') absorbString(state, part);
    else absorbNumber(state, part);
  }
  absorb(state, parts.length);
  absorb(state, 0);
  if (state.every((word) => word === 0)) state[0] = 1; // the one state that xoshiro never leaves
  return state;
}

function absorbString(state: Uint32Array, text: string): void {
  absorb(state, 1);
  absorb(state, text.length);
  for (let i = 0; i < text.length; i++) absorb(state, text.charCodeAt(i));
}

const doubleBits = new DataView(new ArrayBuffer(8));

function absorbNumber(state: Uint32Array, value: number): void {
  if (!Number.isFinite(value)) {
    throw new UsageError('RANDOM_SEED', `Random: seed or stream holds ${value}; allowed: finite numbers and strings`);
  }
  doubleBits.setFloat64(0, value + 0); // + 0 turns -0 into 0
  absorb(state, 2);
  absorb(state, doubleBits.getUint32(0));
  absorb(state, doubleBits.getUint32(4));
}

/** Mixes one word into all four lanes, and each lane into the next. */
function absorb(state: Uint32Array, word: number): void {
  const [a, b, c, d] = state as unknown as [number, number, number, number];
  state[0] = avalanche((a ^ word) + d);
  state[1] = avalanche((b ^ Math.imul(word, 0x9e3779b1)) + state[0]);
  state[2] = avalanche((c ^ Math.imul(word, 0x85ebca77)) + state[1]);
  state[3] = avalanche((d ^ Math.imul(word, 0xc2b2ae3d)) + state[2]);
}

/** MurmurHash3's 32-bit finaliser (Appleby): every input bit flips each output bit about half of the time. */
function avalanche(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}
