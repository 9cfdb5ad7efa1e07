/** `hpff step RECIPE`: optimizer steps on one batch, for debugging and comparing. */
import { readSafetensors, writeSafetensors } from '../../files/safetensors.js';
import { batchFrom, trainOnBatch } from '../../pipeline/index.js';
import { readRecipe } from '../../recipe/read.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import {
  backendOption,
  delayOption,
  deviceOption,
  loweringOption,
  ortLibraryOption,
  scheduleOption,
  stagesOption,
  stepsOption,
  threadsOption,
  verboseOption,
} from '../options.js';
import { Output } from '../output.js';

interface StepOptions extends CommonOptions {
  readonly verbose?: true;
  readonly weights: string;
  readonly batch: string;
  readonly output: string;
  readonly steps?: number;
  readonly schedule: string;
  readonly delay?: number;
  readonly stages?: number;
  readonly lowering: string;
  readonly backend?: string;
  readonly device: string;
  readonly threads?: number;
  readonly ortLibrary?: string;
}

const details = `
The output has grad/<parameter> of the first step, param/<parameter> after the last (and ema/<parameter> where the recipe has an average), and of each step, float32 [steps], loss/total, weighted, and
loss/<module>/<independent|cascade|final>/<classifier|decoder>, before weighting. Momentum starts at zero; the learning rate is the recipe's, constant.`;

export const addStep: AddCommand = (program, streams) => {
  newCommand(program, 'step <recipe>', 'run optimizer steps on one batch from given weights')
    .requiredOption('--weights <file>', 'safetensors file with all parameters of the recipe')
    .requiredOption(
      '--batch <file>',
      'safetensors file with image, float32 [N, C, H, W], normalised, and label, int64 [N]',
    )
    .requiredOption('-o, --output <file>', 'safetensors file to write: gradients, parameters and losses')
    .addOption(stepsOption())
    .addOption(scheduleOption())
    .addOption(delayOption())
    .addOption(stagesOption())
    .addOption(loweringOption('ort-training'))
    .addOption(backendOption())
    .addOption(ortLibraryOption())
    .addOption(verboseOption())
    .addOption(deviceOption())
    .addOption(threadsOption())
    .addHelpText('after', details)
    .action(async (file: string, options: StepOptions) => {
      const output = new Output(streams, options.json ?? false);
      const recipe = await readRecipe(file, output.warn);
      const weights = (await readSafetensors(options.weights)).tensors;
      const batch = batchFrom((await readSafetensors(options.batch)).tensors, recipe, options.batch);
      const { steps = 1, schedule, delay, stages, lowering, backend, device, threads, ortLibrary } = options;
      const note = options.verbose ? { note: output.message } : {};
      const settings = { steps, schedule, delay, stages, lowering, backend, device, threads, ortLibrary, ...note };
      const result = await trainOnBatch(recipe, weights, batch, settings, { weights: options.weights });
      await writeSafetensors(options.output, result);
      const losses = [...(result.get('loss/total')!.data as Float32Array)];
      const diverged = losses.findIndex((loss) => !Number.isFinite(loss));
      if (diverged >= 0) {
        output.warn(
          `step ${diverged + 1} of ${steps}: the total loss is ${losses[diverged]}, the first that is not finite`,
        );
      }
      output.result(
        { file: options.output, steps, tensors: result.size, totalLoss: losses },
        `${options.output}: ${result.size} tensors; total loss ${losses.map((loss) => loss.toFixed(6)).join(', ')}`,
      );
    });
};
