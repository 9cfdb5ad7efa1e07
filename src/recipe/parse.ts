/** From a value to a validated recipe, and back. */
import { consistencyIssues } from './consistency.js';
import { issuesOf, refusal, type Issue } from './issues.js';
import { normalise } from './normalise.js';
import { recipeSchema } from './schema/index.js';
import type { Recipe } from './types.js';
import { ignoredKeyWarnings, recipeWarnings, splitIgnoredWarning } from './warnings.js';

/**
 * Checks a recipe and fills in its defaults.
 * @param value what the file holds, or an object of the same shape
 * @param where the file's name, for errors; without `.json` it is also the name of a recipe that gives none
 * @param warn takes one line for each setting that is allowed but hardly meant, or that the rule ignores
 * @throws InputError `RECIPE_INVALID`
 */
export function parseRecipe(value: unknown, where = 'recipe', warn: (line: string) => void = () => {}): Recipe {
  const result = recipeSchema.safeParse(value);
  const issues = result.success ? consistencyIssues(result.data) : issuesOf(result.error);
  if (!result.success || issues.length > 0) throw refusal(value, where, issues as [Issue, ...Issue[]]);
  const { recipe, ignored, splitIgnored } = normalise(result.data, nameOf(where));
  if (splitIgnored) warn(splitIgnoredWarning);
  for (const line of [...ignoredKeyWarnings(recipe.local, ignored), ...recipeWarnings(recipe)]) warn(line);
  return recipe;
}

/** The recipe as the text of a recipe file; reading it gives the same recipe. */
export function toJson(recipe: Recipe): string {
  return `${JSON.stringify(recipe, null, 2)}\n`;
}

function nameOf(where: string): string {
  const leaf = where.split(/[\\/]/).findLast((part) => part !== '') ?? '';
  const visible = leaf.replace(/\.json$/, '').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '_');
  return [...visible].slice(0, 100).join('') || 'recipe';
}
