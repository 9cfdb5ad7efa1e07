/** Telling recipes apart. */
import { sha256 } from '../files/sha256.js';
import { canonicalJson } from './canonical.js';
import type { Recipe } from './types.js';

/** SHA-256 of the recipe, 64 hexadecimal digits: the same for all files that say the same, in whatever order of keys. */
export function recipeHash(recipe: Recipe): string {
  return sha256(canonicalJson(recipe));
}
