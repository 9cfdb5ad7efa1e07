/** Recipes: what to train, on what, and how. `read.ts` and `hash.ts` need Node, all else runs in browsers too. */
export { RecipeRefusal } from './issues.js';
export { parseRecipe, toJson } from './parse.js';
export { datasetNames } from './schema/data.js';
export { localRuleNames } from './schema/local.js';
export { maxSeed, recipeJsonSchema } from './schema/index.js';
export { recipeWarnings } from './warnings.js';
export type * from './types.js';
