/** What a training with ONNX Runtime's training API needs beside its options. */
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { type EngineOptions, wantsOrtTraining } from '../pipeline/index.js';
import type { Beginning } from './beginning.js';
import { learningRate } from './learning-rate.js';
import type { TrainOptions } from './options.js';

/**
 * The learning rate of every epoch: onnxruntime-web cannot be told one, so they become part of the optimizer models.
 *
 * @throws InputError `BACKEND_RESUME` where a run is to be resumed whose optimizer's state could not be saved
 */
export function trainingSessionOptions(
  { recipe, run }: Beginning,
  { backend, lowering, ortLibrary, cluster }: TrainOptions,
  stepsPerEpoch: number,
): Pick<EngineOptions, 'backend' | 'ortLibrary' | 'rates'> {
  if (!wantsOrtTraining({ backend, ...(lowering === undefined ? {} : { lowering }) })) {
    if (ortLibrary === undefined) return {};
    throw new InputError(
      'BACKEND_OPTION',
      '--ort-library: found without training sessions, allowed: with --backend ort-training',
    );
  }
  if (cluster) {
    throw new InputError('BACKEND_OPTION', '--connect: found with training sessions, allowed: with --backend sessions');
  }
  if (
    run &&
    run.checkpoint.state.step > 0 &&
    recipe.optimizer.type === 'adamw' &&
    run.checkpoint.optimizer.size === 0
  ) {
    throw new InputError(
      'BACKEND_RESUME',
      `${printable(run.folder)}: --resume: the run's library could not save the state of adamw, allowed: sgd, or a new run`,
    );
  }
  const rates = Array.from({ length: recipe.schedule.epochs }, (_, epoch) => learningRate(recipe, epoch + 1));
  return { backend: 'ort-training', ortLibrary, rates: { rates, stepsPerEpoch } };
}
