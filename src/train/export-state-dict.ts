/** Writing a run's trunk as a state dict of PyTorch. */
import { metadataOf } from '../export/index.js';
import { writeSafetensors } from '../files/safetensors.js';
import { elementCount } from '../files/tensor.js';
import { type NamingName, stateDict } from '../weights/index.js';
import { refuseRunFile } from './run-folder.js';
import { type ModelSource, readTrainedModel } from './trained-model.js';

export interface StateDictOptions extends Pick<ModelSource, 'weights' | 'ema'> {
  /** Whose names to write. Default `hpff`. */
  readonly naming?: NamingName | undefined;
}

export interface StateDictFile {
  readonly naming: NamingName;
  readonly tensors: number;
  readonly elements: number;
}

/**
 * Writes the trunk of a run, or of a recipe with given weights, as `stateDict` names it. The file's metadata say `format: pt`, as
 * PyTorch's own files do, and how images are to be prepared, as those of an exported model.
 *
 * @throws InputError as `refuseRunFile` and `readTrainedModel`; InputError or RunError as `writeFileAtomic`
 */
export async function exportStateDict(
  run: string,
  file: string,
  options: StateDictOptions = {},
): Promise<StateDictFile> {
  await refuseRunFile(run, file);
  const { weights: from, naming = 'hpff', ema } = options;
  const { recipe, weights, steps } = await readTrainedModel(run, { weights: from, ema });
  const tensors = stateDict(weights, recipe, naming, steps);
  await writeSafetensors(file, tensors, { format: 'pt', ...metadataOf(recipe) });
  const elements = [...tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return { naming, tensors: tensors.size, elements };
}
