import { describe, expect, it } from 'vitest';
import type { Recipe, ScheduleConfig } from '../recipe/types.js';
import { learningRate } from './learning-rate.js';

function rates(base: number, schedule: ScheduleConfig): number[] {
  const optimizer: Recipe['optimizer'] = {
    type: 'sgd',
    learningRate: base,
    momentum: 0.9,
    nesterov: true,
    weightDecay: 0,
  };
  return Array.from({ length: schedule.epochs }, (_, i) => learningRate({ optimizer, schedule }, i + 1));
}

const close = (found: number[], expected: number[]) => {
  expect(found.length).toBe(expected.length);
  expected.forEach((value, i) => expect(found[i], `epoch ${i + 1}`).toBeCloseTo(value, 12));
};

describe('learningRate', () => {
  it('is constant', () => {
    close(rates(0.3, { type: 'constant', epochs: 3, warmupEpochs: 0 }), [0.3, 0.3, 0.3]);
  });

  it('follows the cosine, which is 0 in the last epoch', () => {
    const half = Math.SQRT1_2; // cos(π/4)
    close(rates(0.8, { type: 'cosine', epochs: 4, warmupEpochs: 0 }), [0.4 * (1 + half), 0.4, 0.4 * (1 - half), 0]);
    close(rates(0.8, { type: 'cosine', epochs: 1, warmupEpochs: 0 }), [0]);
  });

  it('warms up as the paper does: 400 epochs, 10 of them warm-up, from 0.01 to about 0.8', () => {
    const found = rates(0.8, { type: 'cosine', epochs: 400, warmupEpochs: 10 });
    const cosine = (epoch: number) => 0.5 * 0.8 * (1 + Math.cos((Math.PI * epoch) / 400));
    close(found.slice(0, 3), [
      0.01,
      0.1 * cosine(2) + 0.01 * 0.9, // (e-1)/10 and (11-e)/10
      0.2 * cosine(3) + 0.01 * 0.8,
    ]);
    close(found.slice(8, 12), [0.8 * cosine(9) + 0.01 * 0.2, 0.9 * cosine(10) + 0.01 * 0.1, cosine(11), cosine(12)]);
    expect(found[1]).toBeCloseTo(0.0889950654, 9); // by hand: cos(π/200) = 0.999876632…
    expect(found.at(-1)).toBe(0);
  });

  it('warms up from lr0 where that is below 0.01, and takes a warm-up longer than the run', () => {
    close(rates(0.001, { type: 'constant', epochs: 2, warmupEpochs: 5 }), [0.001, 0.001]);
    close(rates(0.11, { type: 'constant', epochs: 3, warmupEpochs: 5 }), [0.01, 0.03, 0.05]);
  });

  it('drops after each milestone', () => {
    close(
      rates(1, { type: 'step', epochs: 5, warmupEpochs: 0, milestones: [2, 4], gamma: 0.1 }),
      [1, 1, 0.1, 0.1, 0.01],
    );
  });
});
