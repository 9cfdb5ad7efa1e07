/** `hpff check RECIPE`: is the recipe valid, and is it what was meant? */
import { dataChecks } from '../../data/known.js';
import { InputError } from '../../errors.js';
import { buildStep } from '../../local/index.js';
import { recipeHash } from '../../recipe/hash.js';
import { type Recipe, RecipeRefusal } from '../../recipe/index.js';
import { readRecipe } from '../../recipe/read.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { Output } from '../output.js';
import { Failures } from '../report-error.js';

const details = `
Everything that is wrong has a line of its own on stderr; the exit code is then 2. What depends on other keys, such as whether a split fits the
network, is looked at once every key is right by itself.

With --json: {"valid":true,"name":…,"hash":…,"warnings":[…],"recipe":{…}}, or {"valid":false,"errors":[{"code":…,"message":…},…]}.`;

export const addCheck: AddCommand = (program, streams) => {
  newCommand(program, 'check <recipe>', 'validate a recipe and point out doubtful settings')
    .addHelpText('after', details)
    .action(async (file: string, options: CommonOptions) => {
      const output = new Output(streams, options.json ?? false);
      const warnings: string[] = [];
      const found = await checked(file, (line) => warnings.push(line));
      warnings.forEach(output.warn);
      if (Array.isArray(found)) {
        output.event({ valid: false, errors: found.map(({ code, message }) => ({ code, message })) });
        throw new Failures(found);
      }
      const hash = recipeHash(found);
      output.result(
        { valid: true, name: found.name, hash, warnings, recipe: found },
        `${found.name}: valid\nhash ${hash}`,
      );
    });
};

/** The recipe in a file, or everything that is wrong with it. */
async function checked(file: string, warn: (line: string) => void): Promise<Recipe | InputError[]> {
  try {
    const recipe = await readRecipe(file, warn);
    // Splits and patches are held against the network when its step is built.
    const errors = [() => buildStep(recipe, 2), ...dataChecks(recipe)].flatMap(errorOf);
    return errors.length === 0 ? recipe : errors;
  } catch (error) {
    if (error instanceof RecipeRefusal) return error.each;
    if (error instanceof InputError) return [error];
    throw error;
  }
}

function errorOf(check: () => unknown): InputError[] {
  try {
    check();
    return [];
  } catch (error) {
    if (error instanceof InputError) return [error];
    throw error;
  }
}
