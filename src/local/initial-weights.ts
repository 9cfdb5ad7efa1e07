/** The weights that training starts from. */
import type { NamedTensors } from '../files/tensor.js';
import { initialize } from '../nn/index.js';
import type { Recipe } from '../recipe/types.js';
import { buildStep } from './step.js';

/**
 * Parameters and running statistics of the recipe's trunk and heads.
 *
 * @param seed default: the recipe's
 * @throws InputError where split or patches do not fit the network
 */
export function initialWeights(recipe: Recipe, seed = recipe.seed): NamedTensors {
  // Parameters do not depend on the batch; a small one is enough to build the graph.
  return initialize(buildStep(recipe, 2).parameters, seed);
}
