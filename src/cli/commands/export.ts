/** `hpff export RUN`: the trained network as an ONNX model, verified before it is written, or as a state dict of PyTorch. */
import { exportRun, exportStateDict } from '../../train/index.js';
import type { NamingName } from '../../weights/index.js';
import { InputError } from '../../errors.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { threadsOption } from '../options.js';
import { Output } from '../output.js';
import { namingOption } from '../weights-options.js';

interface ExportCommandOptions extends CommonOptions {
  readonly output: string;
  readonly weights?: string;
  readonly naming?: NamingName;
  readonly ema: boolean;
  readonly data?: string;
  readonly threads?: number;
}

const details = `
A file that ends with .safetensors becomes a state dict: the trunk's parameters and running statistics, which PyTorch's load_state_dict takes (docs/pytorch.md).
Any other is an ONNX model.

With --weights, a recipe may stand in the run's place. --naming says whose names a state dict is to have (default: hpff), or, for an ONNX model, whose the file
of --weights has; what it does not say is recognized.`;

export const addExport: AddCommand = (program, streams) => {
  newCommand(program, 'export <run>', 'write the trained network without heads: an ONNX model, or weights for PyTorch')
    .requiredOption('-o, --output <file>', 'ONNX or safetensors file to write')
    .option('--weights <file>', "safetensors file with the trunk, instead of the run's latest checkpoint")
    .addOption(namingOption('whose names tensors have'))
    .option('--no-ema', 'the weights as trained, not their moving averages')
    .option('--data <path>', 'folder of the data set, to verify the model with its test images')
    .addOption(threadsOption())
    .addHelpText('after', details)
    .action(async (run: string, options: ExportCommandOptions) => {
      const output = new Output(streams, options.json ?? false);
      if (/\.safetensors$/i.test(options.output)) return writeStateDict(run, options, output);
      const { weights, naming, ema, data, threads } = options;
      if (naming !== undefined && weights === undefined) {
        throw new InputError(
          'USAGE',
          '--naming: found with an ONNX model, allowed: with --weights or a .safetensors file to write',
        );
      }
      const source = { weights, naming, ema };
      const { verifiedWith, ...written } = await exportRun(run, options.output, { ...source, data, threads });
      const { bytes, images, maxRelativeDifference } = written;
      output.result(
        { file: options.output, maxRelativeDifference, images, verifiedWith, bytes },
        `${options.output}: ${bytes} bytes; on ${images} ${verifiedWith} within ` +
          `${maxRelativeDifference.toExponential(1)} of the trained network`,
      );
    });
};

async function writeStateDict(run: string, options: ExportCommandOptions, output: Output): Promise<void> {
  for (const name of ['data', 'threads'] as const) {
    if (options[name] === undefined) continue;
    throw new InputError('USAGE', `--${name}: found with a .safetensors file to write, allowed: with an ONNX model`);
  }
  const { output: file, weights, naming, ema } = options;
  const written = await exportStateDict(run, file, { weights, naming, ema });
  output.result(
    { file, ...written },
    `${file}: ${written.tensors} tensors, ${written.elements} elements, naming ${written.naming}`,
  );
}
