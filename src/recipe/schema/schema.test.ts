import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { recipeJsonSchema } from './index.js';

test('recipe.schema.json is up to date (npm run schema)', async () => {
  const file = path.join(import.meta.dirname, '../../../recipe.schema.json');
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(recipeJsonSchema());
});

test('the JSON Schema knows the keys, refuses others, and asks only for what has no default', () => {
  const required = ['network', 'local', 'optimizer', 'schedule', 'data'];
  expect(recipeJsonSchema()).toMatchObject({
    $schema: 'http://json-schema.org/draft-07/schema#',
    additionalProperties: false,
    required,
    properties: { $schema: { type: 'string' }, seed: { type: 'integer', minimum: 0, default: 0 } },
  });
});
