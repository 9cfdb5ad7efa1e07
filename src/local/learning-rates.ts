/** Learning rates of the modules, as factors of the recipe's. */
import { InputError } from '../errors.js';
import type { LearningRateFactors } from '../recipe/types.js';

/**
 * The factor of each module's trunk and of its heads.
 * @throws InputError `LEARNING_RATE_FACTORS` where a list has not one for each module
 */
export function moduleFactors(
  { modules = [], heads = 1 }: LearningRateFactors = {},
  count: number,
): readonly { readonly trunk: number; readonly heads: number }[] {
  return listOf(modules, count).map((trunk) => ({ trunk, heads: trunk * heads }));
}

function listOf(factors: NonNullable<LearningRateFactors['modules']>, count: number): readonly number[] {
  if ('first' in factors) {
    const { first, last } = factors;
    return Array.from({ length: count }, (_, i) => (count === 1 ? first : first + ((last - first) * i) / (count - 1)));
  }
  if (factors.length === 0) return new Array<number>(count).fill(1);
  if (factors.length === count) return factors;
  throw new InputError(
    'LEARNING_RATE_FACTORS',
    `optimizer.learningRateFactors.modules: found a list of ${factors.length}, allowed: a list of ${count}, a number for each module`,
  );
}
