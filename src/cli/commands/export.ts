/** `hpff export RUN`: the inference model, verified before it is written. */
import { exportRun } from '../../train/index.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { threadsOption } from '../options.js';
import { Output } from '../output.js';

interface ExportCommandOptions extends CommonOptions {
  readonly output: string;
  readonly weights?: string;
  readonly data?: string;
  readonly threads?: number;
}

export const addExport: AddCommand = (program, streams) => {
  newCommand(program, 'export <run>', 'write the trained network as an ONNX model, without heads')
    .requiredOption('-o, --output <file>', 'ONNX file to write')
    .option('--weights <file>', "safetensors file with all parameters, instead of the run's latest checkpoint")
    .option('--data <path>', 'folder of the data set, to verify the model with its test images')
    .addOption(threadsOption())
    .action(async (run: string, options: ExportCommandOptions) => {
      const output = new Output(streams, options.json ?? false);
      const { weights, data, threads } = options;
      const { verifiedWith, ...written } = await exportRun(run, options.output, { weights, data, threads });
      const { bytes, images, maxRelativeDifference } = written;
      output.result(
        { file: options.output, maxRelativeDifference, images, verifiedWith, bytes },
        `${options.output}: ${bytes} bytes; on ${images} ${verifiedWith} within ` +
          `${maxRelativeDifference.toExponential(1)} of the trained network`,
      );
    });
};
