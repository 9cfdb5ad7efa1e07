import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../random.js';
import { centre, randomArea, resized } from './area.js';

const standard = { scale: [0.08, 1], ratio: [3 / 4, 4 / 3] } as const;

describe('randomArea', () => {
  it('lies in the image, within the bounds of area and ratio, to rounding', () => {
    const side = fc.integer({ min: 40, max: 2000 });
    fc.assert(
      fc.property(side, side, fc.nat(), (width, height, seed) => {
        const area = randomArea({ width, height }, standard, new Random(seed));
        expect(area.left).toBeGreaterThanOrEqual(0);
        expect(area.top).toBeGreaterThanOrEqual(0);
        expect(area.left + area.width).toBeLessThanOrEqual(width);
        expect(area.top + area.height).toBeLessThanOrEqual(height);
        expect(area.width / area.height).toBeGreaterThan((3 / 4) * 0.9);
        expect(area.width / area.height).toBeLessThan((4 / 3) * 1.1);
      }),
    );
  });

  it('has the mean area and mean place of uniform draws', () => {
    const image = { width: 1000, height: 1000 };
    const crop = { scale: [0.1, 0.5], ratio: [1, 1] } as const;
    const random = new Random(1);
    const areas = Array.from({ length: 4000 }, () => randomArea(image, crop, random));
    const mean = (of: (area: (typeof areas)[number]) => number) => areas.reduce((sum, a) => sum + of(a), 0) / 4000;
    expect(mean((a) => (a.width * a.height) / 1e6)).toBeCloseTo(0.3, 1);
    expect(mean((a) => a.left / (1000 - a.width))).toBeCloseTo(0.5, 1);
    expect(Math.min(...areas.map((a) => a.width * a.height))).toBeGreaterThan(0.099e6);
    expect(Math.max(...areas.map((a) => a.width * a.height))).toBeLessThan(0.501e6);
  });

  it('takes the middle of what is too long for the ratio', () => {
    const whole = { scale: [1, 1], ratio: [3 / 4, 4 / 3] } as const;
    expect(randomArea({ width: 400, height: 30 }, whole, new Random(1))).toEqual({
      width: 40,
      height: 30,
      left: 180,
      top: 0,
    });
    expect(randomArea({ width: 30, height: 400 }, whole, new Random(1))).toEqual({
      width: 30,
      height: 40,
      left: 0,
      top: 180,
    });
  });

  it('finds a part of an image of one pixel', () => {
    expect(randomArea({ width: 1, height: 1 }, standard, new Random(2))).toEqual({
      width: 1,
      height: 1,
      left: 0,
      top: 0,
    });
  });
});

describe('resized and centre', () => {
  it('make the shorter side what is asked for and cut the middle out', () => {
    expect(resized({ width: 500, height: 375 }, 256)).toEqual({ width: 341, height: 256 });
    expect(resized({ width: 375, height: 500 }, 256)).toEqual({ width: 256, height: 341 });
    expect(resized({ width: 64, height: 64 }, 64)).toEqual({ width: 64, height: 64 });
    expect(centre({ width: 341, height: 256 }, { width: 224, height: 224 })).toEqual({
      width: 224,
      height: 224,
      left: 58,
      top: 16,
    });
  });
});
