/** From a value or a file to a validated recipe, and back. */
import path from 'node:path';
import { decodeJson } from '../files/json.js';
import { readFileBytes } from '../files/read.js';
import { sha256 } from '../files/sha256.js';
import { consistencyIssues } from './consistency.js';
import { issuesOf, refusal, type Issue } from './issues.js';
import { normalise } from './normalise.js';
import { recipeSchema } from './schema/index.js';
import type { Recipe } from './types.js';
import { ignoredKeyWarnings, recipeWarnings, splitIgnoredWarning } from './warnings.js';

const MAX_RECIPE_BYTES = 2 ** 20;

/**
 * Checks a recipe and fills in its defaults.
 * @param value what the file holds, or an object of the same shape
 * @param where the file's name, for errors; without `.json` it is also the name of a recipe that gives none
 * @param warn takes one line for each setting that is allowed but hardly meant, or that the rule ignores
 * @throws InputError `RECIPE_INVALID`
 */
export function parseRecipe(value: unknown, where: string, warn: (line: string) => void = () => {}): Recipe {
  const result = recipeSchema.safeParse(value);
  const issues = result.success ? consistencyIssues(result.data) : issuesOf(result.error);
  if (!result.success || issues.length > 0) throw refusal(value, where, issues as [Issue, ...Issue[]]);
  const { recipe, ignored, splitIgnored } = normalise(result.data, nameOf(where));
  if (splitIgnored) warn(splitIgnoredWarning);
  for (const line of [...ignoredKeyWarnings(recipe.local, ignored), ...recipeWarnings(recipe)]) warn(line);
  return recipe;
}

/**
 * Reads a recipe file.
 * @throws InputError as `parseRecipe`, `readFileBytes` and `decodeJson` do: the file is missing, no regular file, over
 * 1 MiB, not UTF-8, not JSON, or has a key twice
 */
export async function readRecipe(file: string, warn?: (line: string) => void): Promise<Recipe> {
  return parseRecipe(decodeJson(await readFileBytes(file, MAX_RECIPE_BYTES), file), file, warn);
}

/** The recipe as the text of a recipe file; reading it gives the same recipe. */
export function toJson(recipe: Recipe): string {
  return `${JSON.stringify(recipe, null, 2)}\n`;
}

/** SHA-256 of the recipe, 64 hexadecimal digits: the same for all files that say the same, in whatever order of keys. */
export function recipeHash(recipe: Recipe): string {
  return sha256(JSON.stringify(recipe, sortKeys));
}

/** A `JSON.stringify` replacer that puts the keys of objects in order. */
function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function nameOf(where: string): string {
  const visible = path.basename(where, '.json').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '_');
  return [...visible].slice(0, 100).join('') || 'recipe';
}
