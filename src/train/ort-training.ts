/** What a training with ONNX Runtime's training API needs beside its options. */
import { InputError } from '../errors.js';
import { type EngineOptions, refuseWithoutTraining, wantsOrtTraining } from '../pipeline/index.js';
import type { Beginning } from './beginning.js';
import { learningRate } from './learning-rate.js';
import type { TrainOptions } from './options.js';

/**
 * The learning rate of every epoch: onnxruntime-web cannot be told one, so they become part of the optimizer models.
 *
 * @throws InputError `BACKEND_OPTION` for options that do not go with training sessions, or not without them
 */
export function trainingSessionOptions(
  { recipe }: Beginning,
  { backend, lowering, ortLibrary, cluster }: TrainOptions,
  stepsPerEpoch: number,
): Pick<EngineOptions, 'backend' | 'ortLibrary' | 'rates'> {
  const asked = { backend, ortLibrary, ...(lowering === undefined ? {} : { lowering }) };
  refuseWithoutTraining(asked);
  if (!wantsOrtTraining(asked)) return {};
  if (cluster) {
    throw new InputError('BACKEND_OPTION', '--connect: found with training sessions, allowed: with --backend sessions');
  }
  const rates = Array.from({ length: recipe.schedule.epochs }, (_, epoch) => learningRate(recipe, epoch + 1));
  return { backend: 'ort-training', ortLibrary, rates: { rates, stepsPerEpoch } };
}
