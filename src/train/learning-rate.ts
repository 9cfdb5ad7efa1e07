/** The learning rate of each epoch. */
import type { Recipe } from '../recipe/types.js';

/** Where warm-up starts, as the authors' program has it. */
const WARMUP_START = 0.01;

/**
 * Learning rate of an epoch e = 1 … E, from lr0 = `optimizer.learningRate`:
 *
 * | schedule | rate |
 * |---|---|
 * | `constant` | lr0 |
 * | `cosine` | ½·lr0·(1 + cos(π·e/E)), which is 0 in the last epoch: there only batch-norm statistics still move |
 * | `step` | lr0·gamma^(number of milestones before e) |
 *
 * In the first W = `warmupEpochs` epochs it is blended in: rate·(e-1)/W + start·(W+1-e)/W, where start is 0.01, but never above
 * lr0. Cosine and warm-up are those of InfoPro's and HPFF's released code (W = 10, lr0 = 0.8 there), a rate per epoch.
 */
export function learningRate({ optimizer, schedule }: Pick<Recipe, 'optimizer' | 'schedule'>, epoch: number): number {
  const base = optimizer.learningRate;
  const rate = base * decay(schedule, epoch);
  const { warmupEpochs } = schedule;
  if (epoch > warmupEpochs) return rate;
  const start = Math.min(WARMUP_START, base);
  return (rate * (epoch - 1) + start * (warmupEpochs + 1 - epoch)) / warmupEpochs;
}

function decay(schedule: Recipe['schedule'], epoch: number): number {
  switch (schedule.type) {
    case 'constant':
      return 1;
    case 'cosine':
      return (1 + Math.cos((Math.PI * epoch) / schedule.epochs)) / 2;
    case 'step':
      return schedule.gamma ** schedule.milestones.filter((milestone) => milestone < epoch).length;
  }
}
