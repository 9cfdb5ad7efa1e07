/**
 * The shape of a recipe file, a file for each key. What depends on several keys at once (defaults by rule, lengths by image) stands in
 * ../normalise.ts and ../consistency.ts.
 */
import { z } from 'zod';
import { integer, object } from '../fields.js';
import { data } from './data.js';
import { local } from './local.js';
import { loss } from './loss.js';
import { network } from './network.js';
import { optimizer } from './optimizer.js';
import { schedule } from './schedule.js';
import { split } from './split.js';

/** The greatest seed. */
export const maxSeed = 2 ** 32 - 1;

const NAME_LENGTH = 200;
const nameAllowed = `a text of 1 to ${NAME_LENGTH} visible characters`;
const name = z
  .string({ error: nameAllowed })
  .max(NAME_LENGTH, { error: nameAllowed })
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u, { error: nameAllowed })
  .describe('Name of the recipe, for reports. Default: the name of its file.');

/** The recipe file. Keys that the user may leave out are filled in, but for those whose default depends on others. */
export const recipeSchema = object({
  $schema: z.string({ error: 'the address of a JSON Schema' }).optional(),
  name: name.optional(),
  network,
  split: split.optional(),
  local,
  loss: loss.optional(),
  optimizer,
  schedule,
  data,
  seed: integer(0, maxSeed)
    .default(0)
    .describe('Seeds the initial weights, the order of the images and their augmentation.'),
});

/** A recipe of the right shape, before the defaults that depend on other keys. */
export type RecipeShape = z.output<typeof recipeSchema>;

/** The JSON Schema of recipe files, for editors. It cannot say all that is checked, but refuses nothing that is valid. */
export function recipeJsonSchema(): object {
  const schema = z.toJSONSchema(recipeSchema, { target: 'draft-7', io: 'input' });
  return { $schema: schema.$schema, title: 'hpff recipe', ...schema };
}
