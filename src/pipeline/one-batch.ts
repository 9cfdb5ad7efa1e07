/** A few optimizer steps on one given batch from given weights: for debugging and for comparing with other frameworks. */
import { checkWeights, type Manifest } from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import { InputError } from '../errors.js';
import { float32, type HostTensor, type NamedTensors } from '../files/tensor.js';
import { averagePrefix } from '../nn/index.js';
import type { Recipe } from '../recipe/types.js';
import type { TrainEngine } from './engine.js';
import type { EngineOptions } from './engine-options.js';
import { openEngine } from './open-engine.js';

export interface OneBatchOptions extends Omit<EngineOptions, 'batch' | 'gradients'> {
  /** Default 1. */
  readonly steps?: number;
}

/**
 * Trains on `batch` at the recipe's learning rate, constant; optimizer state starts at zero.
 *
 * @param weights all parameters; running statistics may be left out (mean 0, variance 1)
 * @returns `grad/<parameter>` of the first step, `param/<parameter>` after the last (running statistics are left out), `ema/<parameter>` likewise, and of every
 *   step `loss/<module>/<level>/<head>` before weighting and `loss/total`, the weighted sum, float32 [steps]
 * @throws InputError where weights or batch do not fit the recipe (`where` names the files)
 */
export async function trainOnBatch(
  recipe: Recipe,
  weights: NamedTensors,
  batch: Batch,
  options: OneBatchOptions,
  where: { readonly weights: string },
): Promise<NamedTensors> {
  const { steps = 1, ...engineOptions } = options;
  const { engine, manifest, dispose } = await openEngine(recipe, {
    ...engineOptions,
    batch: batch.image.shape[0]!,
    gradients: true,
  });
  try {
    engine.load(checkWeights(weights, manifest.parameters, where.weights, { statisticsOptional: true }));
    return await stepsOnBatch(engine, manifest, batch, steps);
  } finally {
    dispose();
  }
}

/** The steps of `trainOnBatch`, on an engine that holds the weights and was opened with gradients. */
export async function stepsOnBatch(
  engine: TrainEngine,
  manifest: Manifest,
  batch: Batch,
  steps: number,
): Promise<NamedTensors> {
  const output: NamedTensors = new Map();
  const losses = new Map<string, Float32Array>();
  const record = (name: string, step: number, value: number): void => {
    if (!losses.has(name)) losses.set(name, new Float32Array(steps));
    losses.get(name)![step] = value;
  };
  let given = 0;
  await engine.run({
    first: 1,
    next: async () => (given++ < steps ? { batch, learningRate: manifest.recipe.optimizer.learningRate } : undefined),
    wantsGradients: (step) => step === 1,
    report: ({ losses: found, total, gradients }, step) => {
      for (const [name, tensor] of gradients) output.set(`grad/${name}`, tensor);
      for (const [name, value] of found) record(`loss/${name}`, step - 1, value);
      record('loss/total', step - 1, total);
    },
  });
  const parameters = new Set(manifest.parameters.filter(({ kind }) => kind === 'parameter').map(({ name }) => name));
  for (const [name, tensor] of await engine.readWeights())
    if (parameters.has(name)) output.set(`param/${name}`, tensor);
  for (const [name, tensor] of await engine.readOptimizer()) {
    if (name.startsWith(averagePrefix) && parameters.has(name.slice(averagePrefix.length))) output.set(name, tensor);
  }
  for (const [name, values] of losses) output.set(name, float32([steps], values));
  return output;
}

/**
 * Takes `image` float32 [N, C, H, W] and `label` int64 [N] from a file's tensors.
 *
 * @throws InputError where one is missing, another is there, types or shapes do not fit the recipe, or a pixel is not finite, or a label is outside its classes
 */
export function batchFrom(tensors: NamedTensors, recipe: Recipe, where: string): Batch {
  const { image: size, classes } = recipe.network;
  const image = take(tensors, 'image', 'float32', where, `[N, ${size.join(', ')}]`);
  const count = image.shape[0] ?? 0;
  if (image.shape.length !== 4 || count < 1 || size.some((dim, i) => image.shape[i + 1] !== dim)) {
    throw misfit(where, 'image', image, `float32 [N, ${size.join(', ')}]`);
  }
  const odd = image.data.findIndex((value) => !Number.isFinite(value));
  if (odd >= 0) {
    throw new InputError(
      'BATCH_NOT_FINITE',
      `${where}: tensor 'image': element ${odd} is ${image.data[odd]}, allowed: numbers`,
    );
  }
  const label = take(tensors, 'label', 'int64', where, `[${count}]`);
  if (label.shape.length !== 1 || label.shape[0] !== count) throw misfit(where, 'label', label, `int64 [${count}]`);
  const outside = label.data.findIndex((value) => value < 0n || value >= BigInt(classes));
  if (outside >= 0) {
    throw new InputError(
      'BATCH_LABEL',
      `${where}: label ${outside}: found ${label.data[outside]}, allowed: 0 to ${classes - 1}`,
    );
  }
  const extra = [...tensors.keys()].find((name) => name !== 'image' && name !== 'label');
  if (extra !== undefined) {
    throw new InputError('BATCH_UNKNOWN', `${where}: tensor '${extra}': found, allowed: 'image' and 'label'`);
  }
  return { image, label };
}

function take<T extends 'float32' | 'int64'>(
  tensors: NamedTensors,
  name: string,
  dtype: T,
  where: string,
  shape: string,
): HostTensor<T> {
  const tensor = tensors.get(name);
  if (!tensor)
    throw new InputError('BATCH_MISSING', `${where}: tensor '${name}': not found, allowed: ${dtype} ${shape}`);
  if (tensor.dtype !== dtype) throw misfit(where, name, tensor, `${dtype} ${shape}`);
  return tensor as HostTensor<T>;
}

function misfit(where: string, name: string, { dtype, shape }: HostTensor, allowed: string): InputError {
  return new InputError(
    'BATCH_SHAPE',
    `${where}: tensor '${name}': found ${dtype} [${shape.join(', ')}], allowed: ${allowed}`,
  );
}
