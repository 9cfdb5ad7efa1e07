/** How long a training is. */
import type { Recipe } from '../recipe/index.js';

/**
 * Steps of a whole training: all of the recipe's epochs, or fewer if so many were asked for.
 * @param asked undefined: no number
 */
export function totalSteps({ schedule }: Recipe, stepsPerEpoch: number, asked = Infinity): number {
  return Math.min(asked, schedule.epochs * stepsPerEpoch);
}
