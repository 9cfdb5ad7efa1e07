/** `hpff init RECIPE`: the weights that training would start from. */
import { writeSafetensors } from '../../files/safetensors.js';
import { elementCount } from '../../files/tensor.js';
import { initialWeights } from '../../local/index.js';
import { readRecipe } from '../../recipe/index.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { seedOption } from '../options.js';
import { Output } from '../output.js';

interface InitOptions extends CommonOptions {
  readonly output: string;
  readonly seed?: number;
}

export const addInit: AddCommand = (program, streams) => {
  newCommand(program, 'init <recipe>', 'write the weights that training starts from')
    .requiredOption('-o, --output <file>', 'safetensors file to write')
    .addOption(seedOption())
    .action(async (file: string, options: InitOptions) => {
      const output = new Output(streams, options.json ?? false);
      const recipe = await readRecipe(file, output.warn);
      const weights = initialWeights(recipe, options.seed);
      await writeSafetensors(options.output, weights);
      const elements = [...weights.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
      output.result(
        { file: options.output, tensors: weights.size, elements, seed: options.seed ?? recipe.seed },
        `${options.output}: ${weights.size} tensors, ${elements} elements`,
      );
    });
};
