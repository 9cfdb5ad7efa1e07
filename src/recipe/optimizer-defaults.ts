/** What a recipe says of optimizer and loss, without what changes nothing: recipes that train alike are alike, and have one hash. */
import type { RecipeShape } from './schema/index.js';
import type { LearningRateFactors, LossConfig, OptimizerConfig } from './types.js';

export function normaliseOptimizer({ optimizer, data }: RecipeShape): OptimizerConfig {
  const { clipNorm, decayVectors, ema, learningRateFactors, microBatch, ...own } = optimizer;
  const factors = effectiveFactors(learningRateFactors ?? {});
  return {
    ...own,
    ...(clipNorm == null ? {} : { clipNorm }),
    ...(decayVectors === false && own.weightDecay > 0 ? { decayVectors } : {}),
    ...(ema == null ? {} : { ema }),
    ...(factors === null ? {} : { learningRateFactors: factors }),
    ...(microBatch == null || microBatch === data.batch ? {} : { microBatch }),
  };
}

/** @returns null where nothing is smoothed */
export function normaliseLoss({ loss }: RecipeShape): LossConfig | null {
  return loss === undefined || loss.labelSmoothing === 0 ? null : loss;
}

/** Lists are kept as they are: whether there is a factor for each module is found out when the step is built. */
function effectiveFactors({ modules, heads }: Partial<LearningRateFactors>): LearningRateFactors | null {
  const uniform = modules === undefined || ('first' in modules && modules.first === 1 && modules.last === 1);
  const factors = {
    ...(uniform ? {} : { modules }),
    ...(heads === undefined || heads === 1 ? {} : { heads }),
  };
  return Object.keys(factors).length === 0 ? null : factors;
}
