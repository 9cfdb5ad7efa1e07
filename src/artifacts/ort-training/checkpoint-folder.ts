/** Reading the checkpoints of all modules of a recipe. */
import { join } from 'node:path';
import { InputError } from '../../errors.js';
import { decodeOrtCheckpoint } from '../../files/ort-checkpoint/index.js';
import { printable, quoted } from '../../files/printable.js';
import { readFileBytes } from '../../files/read.js';
import type { NamedTensors } from '../../files/tensor.js';
import { buildStep } from '../../local/index.js';
import type { Recipe } from '../../recipe/types.js';
import { requireValues } from '../check-weights.js';
import { fromOrtCheckpoint, type ModuleTensors } from './checkpoint.js';
import { fileIn } from './entries.js';
import { planModules } from './module-plan.js';
import { requireSupported } from './optimizer-support.js';
import { specsOf } from './graphs.js';

export interface OrtState {
  /** Parameters and running statistics, in the order of the recipe's. */
  readonly weights: NamedTensors;
  /** `momentum/<parameter>`, or `adam.m/<parameter>` and `adam.v/<parameter>`; those that are there. */
  readonly optimizer: NamedTensors;
  /** Optimizer steps done, as ONNX Runtime counts them; null where no checkpoint tells. */
  readonly step: number | null;
}

/**
 * @param folder has `modules/<ii>/checkpoint` for each module, as `hpff build --lowering ort-training` writes them
 * @throws InputError where a checkpoint is missing, damaged, not that of the recipe's module, or not finite, and where modules have done different numbers of steps
 */
export async function readOrtCheckpoints(folder: string, recipe: Recipe): Promise<OrtState> {
  const found: NamedTensors = new Map();
  const optimizer: NamedTensors = new Map();
  let step: number | null = null;
  for (const [index, specs] of moduleTensors(recipe).entries()) {
    const file = join(folder, fileIn(index, 'checkpoint'));
    const state = fromOrtCheckpoint(decodeOrtCheckpoint(await readFileBytes(file), file), specs, file);
    for (const [name, { data }] of [...state.weights, ...state.optimizer]) {
      requireValues(name, data as Float32Array, `${printable(file)}: tensor ${quoted(name)}`);
    }
    for (const [name, tensor] of state.weights) found.set(name, tensor);
    for (const [name, tensor] of state.optimizer) optimizer.set(name, tensor);
    if (index > 0 && state.step !== step) {
      const problem = `found ${state.step ?? 'no'} optimizer steps, the modules before have ${step ?? 'none'}`;
      throw new InputError('ORT_CHECKPOINT_STEPS', `${printable(file)}: ${problem}; allowed: as many in all modules`);
    }
    step = state.step;
  }
  const names = buildStep(recipe, 2).parameters.map(({ name }) => name);
  return { weights: new Map(names.map((name) => [name, found.get(name)!])), optimizer, step };
}

/** What the checkpoint of each module holds; it does not depend on the batch. */
function moduleTensors(recipe: Recipe): ModuleTensors[] {
  requireSupported(recipe.optimizer);
  const plans = planModules(recipe, buildStep(recipe, 2));
  return plans.map(({ trainable, kept }) => ({ trainable: specsOf(trainable), kept: specsOf(kept) }));
}
