/** Weights from outside held against the parameters of a recipe, before anything is computed with them. */
import { InputError } from '../errors.js';
import { printable, quoted } from '../files/printable.js';
import { elementCount, float32, type HostTensor, type NamedTensors } from '../files/tensor.js';

/** A tensor that the recipe's model has; a `ParameterEntry` of the manifest is one. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** A statistic is a batch norm's running mean or variance. */
  readonly kind: 'parameter' | 'statistic';
}

export interface WeightCheck {
  /** Fill in statistics that are absent: running mean 0, running variance 1. Default: they must be there. */
  readonly statisticsOptional?: boolean;
}

/**
 * Requires exactly the tensors of `specs`, each float32 of its shape, all elements finite, variances not negative.
 * @param where the file's name, for errors
 * @returns the tensors in the order of `specs`
 * @throws InputError `WEIGHTS_MISSING`, `WEIGHTS_DTYPE`, `WEIGHTS_SHAPE`, `WEIGHTS_VALUE` (not finite, a negative variance) or `WEIGHTS_UNKNOWN`, naming the first such tensor
 */
export function checkWeights(
  tensors: NamedTensors,
  specs: readonly WeightSpec[],
  where: string,
  { statisticsOptional = false }: WeightCheck = {},
): NamedTensors {
  const file = printable(where);
  const checked: NamedTensors = new Map();
  for (const spec of specs) {
    const tensor = tensors.get(spec.name);
    if (tensor) requireFit(tensor, spec, file);
    else if (!statisticsOptional || spec.kind !== 'statistic') throw missing(tensors, spec, file);
    checked.set(spec.name, tensor ?? initialStatistic(spec));
  }
  for (const name of tensors.keys()) if (!checked.has(name)) throw unknown(name, specs, file);
  return checked;
}

function requireFit({ dtype, shape, data }: HostTensor, spec: WeightSpec, file: string): void {
  const at = `${file}: tensor ${quoted(spec.name)}`;
  if (dtype !== 'float32') throw new InputError('WEIGHTS_DTYPE', `${at}: found ${dtype}, allowed: float32`);
  if (shape.length !== spec.shape.length || shape.some((dim, axis) => dim !== spec.shape[axis])) {
    throw new InputError('WEIGHTS_SHAPE', `${at}: found shape ${list(shape)}, allowed: ${list(spec.shape)}`);
  }
  requireValues(spec.name, data as Float32Array, at);
}

/**
 * Requires finite elements, and of a running variance that none is negative.
 * @param at where the tensor is, for errors
 * @throws InputError `WEIGHTS_VALUE`
 */
export function requireValues(name: string, elements: Float32Array, at: string): void {
  const isVariance = isRunningVariance(name);
  const odd = elements.findIndex((value) => !Number.isFinite(value) || (isVariance && value < 0));
  if (odd < 0) return;
  const allowed = isVariance ? 'finite numbers ≥ 0' : 'finite numbers';
  throw new InputError('WEIGHTS_VALUE', `${at}: element ${odd} is ${elements[odd]}, allowed: ${allowed}`);
}

const isRunningVariance = (name: string): boolean => name.endsWith('running_var');

function initialStatistic({ name, shape }: WeightSpec): HostTensor<'float32'> {
  return float32(shape, new Float32Array(elementCount(shape)).fill(isRunningVariance(name) ? 1 : 0));
}

function missing(tensors: NamedTensors, { name, shape }: WeightSpec, file: string): InputError {
  const found = tensors.size === 1 ? '1 tensor' : `${tensors.size} tensors`;
  const problem = `tensor ${quoted(name)}: found nothing among ${found}, allowed: float32 ${list(shape)}`;
  return new InputError('WEIGHTS_MISSING', `${file}: ${problem}`);
}

function unknown(name: string, specs: readonly WeightSpec[], file: string): InputError {
  const range = `the ${specs.length} parameters of the recipe, ${specs[0]?.name} … ${specs.at(-1)?.name}`;
  return new InputError(
    'WEIGHTS_UNKNOWN',
    `${file}: tensor ${quoted(name)}: the recipe has none of that name, allowed: ${range}`,
  );
}

const list = (shape: readonly number[]): string => `[${shape.join(', ')}]`;
