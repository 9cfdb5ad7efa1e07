/** Writes recipe.schema.json, the JSON Schema that recipes name for editors. Run by `npm run schema`, after a build. */
import { writeFile } from 'node:fs/promises';
import { recipeJsonSchema } from '../dist/recipe/index.js';

const file = new URL('../recipe.schema.json', import.meta.url);
await writeFile(file, `${JSON.stringify(recipeJsonSchema(), null, 2)}\n`);
