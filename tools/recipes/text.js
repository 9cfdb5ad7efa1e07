/** The published rows as the text of recipe files, laid out as Prettier does. */
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { publishedRecipes } from './rows.js';

/** @returns {Promise<Map<string, string>>} texts by their path below graphs/ */
export async function recipeTexts() {
  const config = await resolveConfig(fileURLToPath(import.meta.url));
  const texts = new Map();
  for (const [file, recipe] of publishedRecipes()) {
    // The line break after the first brace keeps a line for each key.
    const text = `{\n${JSON.stringify(recipe).slice(1)}`;
    texts.set(file, await format(text, { ...config, parser: 'json' }));
  }
  return texts;
}
