/** Recipes: what to train, on what, and how. */
export { parseRecipe, readRecipe, recipeHash, toJson } from './parse.js';
export { datasetNames, recipeJsonSchema } from './schema.js';
export { recipeWarnings } from './warnings.js';
export type * from './types.js';
