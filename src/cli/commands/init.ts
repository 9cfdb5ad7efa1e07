/** `hpff init RECIPE`: the weights that training would start from. */
import { writeSafetensors } from '../../files/safetensors.js';
import { elementCount } from '../../files/tensor.js';
import { initialWeights } from '../../local/index.js';
import { readRecipe } from '../../recipe/index.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { seedOption } from '../options.js';
import { Output } from '../output.js';
import {
  namingOption,
  originOf,
  readWeights,
  requireWeightsFor,
  resetOption,
  weightsOption,
  type WeightsOptions,
} from '../weights-options.js';

interface InitOptions extends CommonOptions, WeightsOptions {
  readonly output: string;
  readonly seed?: number;
}

const details = `
With --weights, the trunk is that of a safetensors file, which may have torchvision's names; heads that the file has not are drawn from the seed. What is
written has our names and is complete: train, step and export take it. A file of PyTorch (.pt, .pth) must be converted first: docs/pytorch.md.`;

export const addInit: AddCommand = (program, streams) => {
  newCommand(program, 'init <recipe>', 'write the weights that training starts from')
    .requiredOption('-o, --output <file>', 'safetensors file to write')
    .addOption(seedOption())
    .addOption(weightsOption())
    .addOption(namingOption('whose names that file has (default: recognized)'))
    .addOption(resetOption())
    .addHelpText('after', details)
    .action(async (file: string, options: InitOptions) => {
      const output = new Output(streams, options.json ?? false);
      const recipe = await readRecipe(file, output.warn);
      requireWeightsFor(options, 'naming', 'reset');
      const { weights: from, seed = recipe.seed } = options;
      const given = from === undefined ? null : await readWeights(recipe, from, options, seed);
      const weights = given?.weights ?? initialWeights(recipe, seed);
      await writeSafetensors(options.output, weights);
      const elements = [...weights.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
      const origin = given && { weights: from, naming: given.naming, taken: given.taken, drawn: given.drawn };
      output.result(
        { file: options.output, tensors: weights.size, elements, seed, ...origin },
        `${options.output}: ${weights.size} tensors, ${elements} elements` +
          (given ? `; ${originOf(from!, given, seed)}` : ''),
      );
    });
};
