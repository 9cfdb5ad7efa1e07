/** The network that is to be exported: a run's recipe and latest weights, or a file's. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { averagedWeights, checkWeights } from '../artifacts/index.js';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { readSafetensors } from '../files/safetensors.js';
import type { NamedTensors } from '../files/tensor.js';
import { buildStep } from '../local/index.js';
import type { Recipe } from '../recipe/index.js';
import { readRecipe } from '../recipe/read.js';
import { fitWeights, type NamingName } from '../weights/index.js';
import { readRun } from './run-folder.js';

export interface ModelSource {
  /** A safetensors file with the trunk, instead of the run's latest checkpoint. */
  readonly weights?: string | undefined;
  /** Whose names that file has. Default: recognized. */
  readonly naming?: NamingName | undefined;
  /** Whether moving averages stand for the weights of a run that keeps them. Default true. */
  readonly ema?: boolean | undefined;
}

export interface TrainedModel {
  readonly recipe: Recipe;
  /** All parameters and statistics, of which those of heads mean nothing. */
  readonly weights: NamedTensors;
  /** Optimizer steps that the running statistics have seen; 0 where that is not known. */
  readonly steps: number;
}

/**
 * @param path the folder of a run; with weights a recipe's file will do
 * @throws InputError as `readRun`, or as `readRecipe`, `readSafetensors` and `fitWeights`
 */
export async function readTrainedModel(path: string, source: ModelSource): Promise<TrainedModel> {
  const { weights: file, naming, ema = true } = source;
  if (file !== undefined) {
    const recipe = await readRecipe((await isFile(path)) ? path : join(path, 'recipe.json'));
    const { tensors } = await readSafetensors(file);
    return { recipe, weights: fitWeights(tensors, recipe, file, { naming, reset: ['heads'] }).weights, steps: 0 };
  }
  if (await isFile(path)) {
    const allowed = 'the folder of a run, or a recipe with --weights';
    throw new InputError('RUN_MISSING', `${printable(path)}: is a file; allowed: ${allowed}`);
  }
  const { recipe, checkpoint } = await readRun(path);
  const specs = buildStep(recipe, 2).parameters; // they do not depend on the batch
  const where = join(checkpoint.folder, 'weights.safetensors');
  const weights = ema ? averagedWeights(checkpoint.weights, checkpoint.optimizer) : checkpoint.weights;
  return { recipe, weights: checkWeights(weights, specs, where), steps: checkpoint.state.step };
}

/** What cannot be looked at is left to who reads it. */
async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
