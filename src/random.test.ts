import { describe, expect, it } from 'vitest';
import { UsageError } from './errors.js';
import { Random, xoshiro128 } from './random.js';

const draws = (random: Random, count: number) => Array.from({ length: count }, () => random.uint32());

describe('xoshiro128', () => {
  it('gives the published numbers', () => {
    const state = Uint32Array.of(1, 2, 3, 4);
    const numbers = Array.from({ length: 10 }, () => xoshiro128(state));
    expect(numbers).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });
});

describe('Random', () => {
  it('repeats itself for the same seed and stream', () => {
    expect(draws(new Random(1, 'shuffle', 3), 5)).toEqual(draws(new Random(1, 'shuffle', 3), 5));
  });

  it('never changes: these numbers order every training run ever made', () => {
    expect(draws(new Random(1, 'shuffle', 0), 3)).toMatchInlineSnapshot(`
      [
        479266515,
        106504941,
        3009606517,
      ]
    `);
    expect([new Random(1, 'x').normal(), new Random(1, 'x').uniform()]).toMatchInlineSnapshot(`
      [
        -0.371707644159728,
        0.30978705264274686,
      ]
    `);
  });

  it('tells apart streams that only look alike', () => {
    const streams: (string | number)[][] = [
      [],
      [''],
      ['a', 'b'],
      ['ab'],
      ['a', '', 'b'],
      [1],
      ['1'],
      [1, 0],
      [0, 1],
      [0],
    ];
    const firsts = streams.map((stream) => draws(new Random(1, ...stream), 4).join());
    expect(new Set(firsts).size).toBe(streams.length);
    expect(draws(new Random(2), 4)).not.toEqual(draws(new Random(1), 4));
    expect(draws(new Random(-0), 4)).toEqual(draws(new Random(0), 4));
  });

  it('draws neighbouring streams independently', () => {
    const first = Array.from({ length: 20000 }, (_, i) => new Random(7, 'augment', 0, i).uniform() - 0.5);
    const lagged = first.slice(1).map((value, i) => value * (first[i] as number));
    const correlation = (12 * lagged.reduce((a, b) => a + b, 0)) / lagged.length;
    expect(Math.abs(correlation)).toBeLessThan(0.03); // 4 standard errors of 1/sqrt(20000)
    expect(Math.abs(first.reduce((a, b) => a + b, 0) / first.length)).toBeLessThan(0.009);
  });

  it('gives uniform numbers in [0, 1)', () => {
    const random = new Random(5);
    const buckets = new Array<number>(10).fill(0);
    for (let i = 0; i < 50000; i++) buckets[Math.floor(random.uniform() * 10)]! += 1;
    expect(buckets).toHaveLength(10);
    const chiSquare = buckets.reduce((sum, seen) => sum + (seen - 5000) ** 2 / 5000, 0);
    expect(chiSquare).toBeLessThan(33); // 9 degrees of freedom, p = 1e-4
  });

  it('gives normal numbers with the right moments', () => {
    const random = new Random(6);
    const values = Array.from({ length: 100000 }, () => random.normal());
    const moment = (k: number) => values.reduce((sum, value) => sum + value ** k, 0) / values.length;
    expect(moment(1)).toBeCloseTo(0, 1.5);
    expect(moment(2)).toBeCloseTo(1, 1.5);
    expect(moment(3)).toBeCloseTo(0, 1);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.15);
  });

  it('gives every integer below n and no other', () => {
    const random = new Random(8);
    const seen = new Array<number>(7).fill(0);
    for (let i = 0; i < 7000; i++) seen[random.int(7)]! += 1;
    expect(seen).toHaveLength(7);
    expect(Math.min(...seen)).toBeGreaterThan(850);
    expect(random.int(1)).toBe(0);
    expect(random.int(2 ** 32)).toBeLessThan(2 ** 32);
  });

  it.each([0, -1, 1.5, NaN, 2 ** 33])('refuses int(%s)', (n) => {
    expect(() => new Random(1).int(n)).toThrow(UsageError);
  });

  it('refuses a seed that is not finite', () => {
    expect(() => new Random(NaN)).toThrow(/finite/);
    expect(() => new Random(1, 'a', Infinity)).toThrow(UsageError);
  });

  it('shuffles into every order equally often', () => {
    const random = new Random(9);
    const orders = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = random.shuffle([0, 1, 2]).join('');
      orders.set(order, (orders.get(order) ?? 0) + 1);
    }
    expect(orders.size).toBe(6);
    for (const count of orders.values()) expect(Math.abs(count - 1000)).toBeLessThan(130);
  });

  it('shuffles typed arrays in place', () => {
    const items = Uint32Array.from({ length: 100 }, (_, i) => i);
    const same = new Random(10).shuffle(items);
    expect(same).toBe(items);
    expect([...items]).not.toEqual([...items].sort((a, b) => a - b));
    expect([...items].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });
});
