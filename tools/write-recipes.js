/**
 * Writes the recipes of the papers' tables into graphs/, a folder for each data set.
 *
 *     node tools/write-recipes.js
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { recipeTexts } from './recipes/text.js';

const graphs = fileURLToPath(new URL('../graphs/', import.meta.url));
const texts = await recipeTexts();
for (const [file, text] of texts) {
  await mkdir(path.dirname(path.join(graphs, file)), { recursive: true });
  await writeFile(path.join(graphs, file), text);
}
console.log(`${texts.size} recipes`);
