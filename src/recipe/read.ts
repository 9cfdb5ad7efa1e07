/** Recipe files. */
import { decodeJson } from '../files/json.js';
import { readFileBytes } from '../files/read.js';
import { parseRecipe } from './parse.js';
import type { Recipe } from './types.js';

const MAX_RECIPE_BYTES = 2 ** 20;

/**
 * Reads a recipe file.
 * @throws InputError as `parseRecipe`, `readFileBytes` and `decodeJson` do: the file is missing, no regular file, over
 * 1 MiB, not UTF-8, not JSON, or has a key twice
 */
export async function readRecipe(file: string, warn?: (line: string) => void): Promise<Recipe> {
  return parseRecipe(decodeJson(await readFileBytes(file, MAX_RECIPE_BYTES), file), file, warn);
}
