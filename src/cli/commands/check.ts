/** `hpff check RECIPE`: is the recipe valid, and is it what was meant? */
import { checkDataOf } from '../../data/known.js';
import { buildStep } from '../../local/index.js';
import { readRecipe, recipeHash } from '../../recipe/index.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { Output } from '../output.js';

export const addCheck: AddCommand = (program, streams) => {
  newCommand(program, 'check <recipe>', 'validate a recipe and point out doubtful settings').action(
    async (file: string, options: CommonOptions) => {
      const output = new Output(streams, options.json ?? false);
      const warnings: string[] = [];
      const recipe = await readRecipe(file, (line) => warnings.push(line));
      // Splits and patches are held against the network when its step is built.
      buildStep(recipe, 2);
      checkDataOf(recipe);
      const hash = recipeHash(recipe);
      warnings.forEach(output.warn);
      output.result({ name: recipe.name, hash, warnings, recipe }, `${recipe.name}: valid\nhash ${hash}`);
    },
  );
};
