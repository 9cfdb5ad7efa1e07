/** From a sound recipe file to the recipe that the rest of the code sees: defaults by rule, and nothing the rule ignores. */
import { sameJson } from './canonical.js';
import { fillData } from './data-defaults.js';
import { fillNetwork } from './network-defaults.js';
import { normaliseLoss, normaliseOptimizer } from './optimizer-defaults.js';
import type { RecipeShape } from './schema/index.js';
import { fillLocal, ignoredKeys, type IgnoredKey, keepWhatTheRuleUses } from './local-defaults.js';
import type { Recipe, SplitConfig } from './types.js';

export interface Normalised {
  readonly recipe: Recipe;
  /** Keys of `local` that were set but have no effect under the recipe's rule. */
  readonly ignored: readonly IgnoredKey[];
  /** Whether that is so of the split. */
  readonly splitIgnored: boolean;
}

/** @param defaultName name of a recipe that does not give its own */
export function normalise(shape: RecipeShape, defaultName: string): Normalised {
  const written = fillLocal(shape.local, shape.network.image);
  const local = keepWhatTheRuleUses(written);
  const writtenSplit = normaliseSplit(shape.split);
  const split = local.rule === 'bp' ? { modules: 1 } : writtenSplit;
  const loss = normaliseLoss(shape);
  const recipe: Recipe = {
    name: shape.name ?? defaultName,
    network: fillNetwork(shape.network),
    split,
    local,
    ...(loss === null ? {} : { loss }),
    optimizer: normaliseOptimizer(shape),
    schedule: shape.schedule,
    data: fillData(shape.data, shape.network.image),
    seed: shape.seed,
  };
  return {
    recipe,
    ignored: ignoredKeys(written, local),
    splitIgnored: !sameJson(writtenSplit, split),
  };
}

function normaliseSplit(split: RecipeShape['split']): SplitConfig {
  if (split?.boundaries !== undefined) return { boundaries: split.boundaries };
  return { modules: split?.modules ?? 1, ...(split?.balance === undefined ? {} : { balance: split.balance }) };
}
