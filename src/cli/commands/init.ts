/** `hpff init RECIPE`: the weights that training would start from. */
import path from 'node:path';
import { readOrtCheckpoints } from '../../artifacts/ort-training/index.js';
import { InputError } from '../../errors.js';
import { writeSafetensors } from '../../files/safetensors.js';
import { elementCount } from '../../files/tensor.js';
import { initialWeights } from '../../local/index.js';
import type { Recipe } from '../../recipe/index.js';
import { readRecipe } from '../../recipe/read.js';
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
  readonly fromOrt?: string;
  readonly optimizer?: string;
}

const details = `
With --weights, the trunk is that of a safetensors file, which may have torchvision's names; heads that the file has not are drawn from the seed. What is
written has our names and is complete: train, step and export take it. A file of PyTorch (.pt, .pth) must be converted first: docs/pytorch.md.

--from-ort converts what ONNX Runtime's training API has trained (docs/ort-training.md); hpff build --lowering ort-training --from goes the other way.`;

export const addInit: AddCommand = (program, streams) => {
  newCommand(program, 'init <recipe>', 'write the weights that training starts from')
    .requiredOption('-o, --output <file>', 'safetensors file to write')
    .addOption(seedOption())
    .addOption(weightsOption())
    .addOption(namingOption('whose names that file has (default: recognized)'))
    .addOption(resetOption())
    .option('--from-ort <folder>', "weights in checkpoints of ONNX Runtime's training API, modules/<ii>/checkpoint")
    .option('--optimizer <file>', 'with --from-ort: safetensors file to write with the state of the optimizer')
    .addHelpText('after', details)
    .action(async (file: string, options: InitOptions) => {
      const output = new Output(streams, options.json ?? false);
      const recipe = await readRecipe(file, output.warn);
      if (options.fromOrt !== undefined) return convertFromOrt(recipe, options.fromOrt, options, output);
      if (options.optimizer !== undefined) {
        throw new InputError('USAGE', '--optimizer: found without --from-ort, allowed: with it only');
      }
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

/** What training sessions of ONNX Runtime have come to, as weights of ours. */
async function convertFromOrt(recipe: Recipe, folder: string, options: InitOptions, output: Output): Promise<void> {
  for (const name of ['weights', 'seed'] as const) {
    if (options[name] === undefined) continue;
    throw new InputError('USAGE', `--${name}: found with --from-ort, allowed: one of both`);
  }
  if (options.optimizer !== undefined && path.resolve(options.optimizer) === path.resolve(options.output)) {
    throw new InputError('USAGE', '--optimizer: found the file of --output, allowed: another');
  }
  const { weights, optimizer, step } = await readOrtCheckpoints(folder, recipe);
  await writeSafetensors(options.output, weights);
  if (options.optimizer !== undefined) await writeSafetensors(options.optimizer, optimizer);
  const elements = [...weights.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const after = step === null ? '' : `, after ${step} optimizer steps`;
  output.result(
    { file: options.output, tensors: weights.size, elements, fromOrt: folder, step, optimizerTensors: optimizer.size },
    `${options.output}: ${weights.size} tensors, ${elements} elements, from ${folder}${after}`,
  );
}
