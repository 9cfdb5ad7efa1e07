/**
 * Training on images in memory, with a runtime that the caller has made and without files: what a browser needs. Steps, order of the images and learning
 * rates are those of `train`; on the same runtime, the bits of the weights too.
 */
import { checkWeights, type Manifest, stateSpecs, type WeightSpec } from '../artifacts/index.js';
import { checkClasses } from '../data/checks.js';
import type { Dataset } from '../data/dataset.js';
import { checkGiven } from '../data/given.js';
import { Loader } from '../data/loader.js';
import { trainingSubset } from '../data/sample.js';
import { InputError } from '../errors.js';
import type { NamedTensors } from '../files/tensor.js';
import { initialWeights } from '../local/index.js';
import type { StepLosses } from '../pipeline/engine.js';
import { type OnRuntimeOptions, openOnRuntime } from '../pipeline/open-on-runtime.js';
import type { StepEngine } from '../pipeline/step-engine.js';
import type { DataConfig, Recipe } from '../recipe/types.js';
import type { Runtime } from '../runtime/runtime.js';
import { evaluationSetting } from './evaluate.js';
import type { EvaluationEvent, StepProgress } from './events.js';
import { InMemoryTraining } from './in-memory-training.js';
import { totalSteps } from './total-steps.js';

/** What a training goes on from: plain typed arrays, which structured clone carries, to a worker or into IndexedDB. */
export interface TrainingState {
  /** Optimizer steps done. */
  readonly step: number;
  /** Parameters and running statistics, of trunk and heads. */
  readonly weights: NamedTensors;
  readonly optimizer: NamedTensors;
}

export interface InMemoryProgress extends StepProgress, StepLosses {
  /** Step to end at. */
  readonly totalSteps: number;
}

export interface EpochResult extends Omit<EvaluationEvent, 'event' | 'trainAccuracy'> {
  /** Copies what the training could go on from. @throws UsageError `STATE_GONE` when `onEpoch` is over */
  readonly state: () => Promise<TrainingState>;
}

export interface InMemoryOptions extends Pick<OnRuntimeOptions, 'schedule'> {
  /** Weights to start from, of trunk and heads; default: drawn from the recipe's seed. */
  readonly weights?: NamedTensors;
  /** What to go on from, instead; with the recipe and the data that it was made with. */
  readonly resume?: TrainingState;
  /** Optimizer steps of the whole training, if fewer than those of all epochs. */
  readonly steps?: number;
  /** Ends the training after the step or the test images in progress; what it has come to is the result. */
  readonly signal?: AbortSignal;
  /** Is awaited. */
  readonly onStep?: (progress: InMemoryProgress) => void | Promise<void>;
  /** Is awaited, at the end of every epoch that was not stopped. */
  readonly onEpoch?: (result: EpochResult) => void | Promise<void>;
}

export interface InMemoryResult {
  /** What to use, e.g. in `exportModel`: with moving averages where the recipe keeps them. Its tensors are in `state` too. */
  readonly weights: NamedTensors;
  /** What to go on from. */
  readonly state: TrainingState;
  /** On the test images, 0 … 1; null where training was stopped. */
  readonly testAccuracy: number | null;
  /** Mean cross-entropy in nats; null likewise. */
  readonly testLoss: number | null;
}

/** Both splits, pixels as stored: 8 bits a channel. */
export interface InMemoryData {
  readonly train: Dataset;
  readonly test: Dataset;
}

/**
 * Trains and evaluates. The runtime stays the caller's, and empty, whatever happens.
 * @throws InputError where recipe, data, weights and options do not fit one another; NotFiniteError `LOSS_NOT_FINITE`
 */
export async function trainInMemory(
  recipe: Recipe,
  runtime: Runtime,
  data: InMemoryData,
  options: InMemoryOptions = {},
): Promise<InMemoryResult> {
  const { train, test } = loadersOf(recipe, data);
  checkOptions(recipe, train.batchesPerEpoch, options);
  const { engine, manifest } = await openOnRuntime(recipe, runtime, options);
  try {
    load(engine, recipe, manifest, options);
    return await new InMemoryTraining(recipe, engine, train, test, options).run();
  } finally {
    engine.dispose();
  }
}

function loadersOf({ data: config, network, seed }: Recipe, data: InMemoryData): { train: Loader; test: Loader } {
  for (const split of ['train', 'test'] as const) {
    const where = `data.${split}`;
    if (!data[split])
      throw new InputError('DATASET_MISSING', `${where}: found ${String(data[split])}, allowed: a data set`);
    checkClasses(data[split], network.classes);
    checkGiven(data[split], where);
  }
  checkInMemory(config);
  const forTest = evaluationSetting(config, network.image);
  return {
    train: new Loader(trainingSubset(data.train, config), config, network.image, { seed, train: true }),
    test: new Loader(data.test, forTest.config, network.image, forTest.options),
  };
}

/** @throws InputError `DATA_IN_MEMORY` for what is done with images of any size only */
function checkInMemory({ augment, resize, columns }: DataConfig): void {
  const settings = { 'augment.resizedCrop': augment.resizedCrop, resize, columns };
  for (const [key, value] of Object.entries(settings)) {
    if (value === null) continue;
    const remedy = 'take the name of a set of images of one size for data.dataset, e.g. "digits"';
    throw new InputError('DATA_IN_MEMORY', `data.${key}: is for image files; images in memory allow: null; ${remedy}`);
  }
}

function checkOptions(recipe: Recipe, stepsPerEpoch: number, { steps, weights, resume }: InMemoryOptions): void {
  if (steps !== undefined) checkStep(steps, 'steps', Number.MAX_SAFE_INTEGER);
  if (!resume) return;
  checkStep(resume.step, 'resume.step', totalSteps(recipe, stepsPerEpoch));
  if (weights)
    throw new InputError('TRAIN_OPTION', 'weights: found beside resume, which has its own; allowed: one of them');
}

/** @throws InputError `TRAIN_OPTION` */
function checkStep(step: unknown, where: string, most: number): void {
  if (Number.isSafeInteger(step) && (step as number) >= 0 && (step as number) <= most) return;
  const limit = most === Number.MAX_SAFE_INTEGER ? 'a whole number from 0' : `0 to ${most}, the steps of the training`;
  throw new InputError('TRAIN_OPTION', `${where}: found ${String(step)}, allowed: ${limit}`);
}

function load(engine: StepEngine, recipe: Recipe, manifest: Manifest, { weights, resume }: InMemoryOptions): void {
  const { parameters } = manifest;
  if (!resume) {
    engine.load(weights ? checked(weights, parameters, 'weights') : initialWeights(recipe));
    return;
  }
  engine.load(
    checked(resume.weights, parameters, 'resume.weights'),
    checked(resume.optimizer, stateSpecs(manifest), 'resume.optimizer'),
  );
}

/** `checkWeights` of what may be anything, such as a Map that was JSON meanwhile. */
function checked(tensors: unknown, specs: readonly WeightSpec[], where: string): NamedTensors {
  if (tensors instanceof Map) return checkWeights(tensors as NamedTensors, specs, where);
  throw new InputError('TRAIN_OPTION', `${where}: found ${typeof tensors}, allowed: a Map of tensors by name`);
}
