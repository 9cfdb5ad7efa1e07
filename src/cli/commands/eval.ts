/** `hpff eval MODEL`: accuracy and loss on a data set's test images. */
import { datasetNames } from '../../recipe/index.js';
import type { DatasetName } from '../../recipe/index.js';
import { evaluateModel } from '../../train/index.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { choiceOption, loweringOption, threadsOption } from '../options.js';
import { Output } from '../output.js';

interface EvalOptions extends CommonOptions {
  readonly data?: string;
  readonly ema: boolean;
  readonly dataset?: DatasetName;
  readonly lowering: string;
  readonly threads?: number;
}

const details = `
Images are prepared as the recipe says that a run has and an exported model carries. Any other model needs --dataset and gets
pixel values in [0, 1]; grey images repeated to its channels and centred on black to its size, image-folder and parquet resized and cut
from the centre.`;

export const addEval: AddCommand = (program, streams) => {
  newCommand(program, 'eval <model>', 'measure accuracy and loss of a run folder or an .onnx file on test images')
    .option('--data <path>', 'folder of the data set (digits are bundled)')
    .addOption(choiceOption('--dataset <name>', "data set, instead of the recipe's", datasetNames))
    .option('--no-ema', 'of a run: the weights as trained, not their moving averages')
    .addOption(loweringOption())
    .addOption(threadsOption())
    .addHelpText('after', details)
    .action(async (model: string, options: EvalOptions) => {
      const output = new Output(streams, options.json ?? false);
      const { accuracy, loss, images, dataset } = await evaluateModel(model, { ...options, warn: output.warn });
      output.result(
        { accuracy, loss, images, dataset },
        `${dataset}: accuracy ${accuracy.toFixed(4)} (${Math.round(accuracy * images)} of ${images}), loss ${loss.toFixed(4)}`,
      );
    });
};
