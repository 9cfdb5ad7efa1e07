/** Between hpff's tensors and the checkpoints that ONNX Runtime's training session takes, one for each module. */
import { InputError } from '../../errors.js';
import type { OptimizerState, OrtCheckpoint } from '../../files/ort-checkpoint/index.js';
import { printable, quoted } from '../../files/printable.js';
import { elementCount, float32, type HostTensor, type NamedTensors } from '../../files/tensor.js';
import type { OptimizerConfig } from '../../recipe/types.js';
import { isOptimizerState } from './optimizer-plan.js';

/** Names of what a module's checkpoint holds, in the order of its models' inputs, with shapes. */
export interface ModuleTensors {
  readonly trainable: readonly TensorSpec[];
  /** Running statistics, and state of the optimizer that is part of the training model. */
  readonly kept: readonly TensorSpec[];
}

export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

/** AdamW's moments: ONNX Runtime's name and hpff's prefix of each. */
const MOMENTS = [
  ['momentum0', 'adam.m/'],
  ['momentum1', 'adam.v/'],
] as const;

/** What training begins with or goes on from. */
export interface TrainingTensors {
  readonly weights: NamedTensors;
  /** null: optimizer state is zero. */
  readonly optimizer: NamedTensors | null;
  /** Optimizer steps done. */
  readonly step: number;
}

export function toOrtCheckpoint(
  { trainable, kept }: ModuleTensors,
  { weights, optimizer, step }: TrainingTensors,
  config: OptimizerConfig,
): OrtCheckpoint {
  const all = new Map([...weights, ...(optimizer ?? [])]);
  const take = (specs: readonly TensorSpec[]): NamedTensors =>
    new Map(specs.map(({ name, shape }): [string, HostTensor] => [name, all.get(name) ?? zeros(shape)]));
  const moments =
    config.type === 'adamw' && optimizer
      ? new Map(
          trainable.map(({ name, shape }) => [
            name,
            new Map(MOMENTS.map(([theirs, ours]) => [theirs, all.get(ours + name) ?? zeros(shape)])),
          ]),
        )
      : new Map<string, NamedTensors>();
  const state: OptimizerState = { step, initialLearningRate: config.learningRate, moments };
  return { trainable: take(trainable), frozen: take(kept), optimizer: state, properties: new Map() };
}

const zeros = (shape: readonly number[]): HostTensor<'float32'> =>
  float32(shape, new Float32Array(elementCount(shape)));

/**
 * Weights and optimizer state of a module's checkpoint.
 *
 * @param where the file's name, for errors
 * @returns `step`: optimizer steps done; null where the file does not tell
 * @throws InputError `ORT_CHECKPOINT_MODULE` unless it holds exactly the module's tensors, as float32 of their shapes
 */
export function fromOrtCheckpoint(
  { trainable, frozen, optimizer }: OrtCheckpoint,
  specs: ModuleTensors,
  where: string,
): { weights: NamedTensors; optimizer: NamedTensors; step: number | null } {
  requireTensors(trainable, specs.trainable, `${printable(where)}: trained parameters`);
  requireTensors(frozen, specs.kept, `${printable(where)}: frozen parameters`);
  const weights: NamedTensors = new Map(trainable);
  const state: NamedTensors = new Map();
  for (const [name, tensor] of frozen) (isOptimizerState(name) ? state : weights).set(name, tensor);
  for (const [name, tensor] of momentsOf(optimizer, specs.trainable, `${printable(where)}: moments`)) {
    state.set(name, tensor);
  }
  return { weights, optimizer: state, step: optimizer?.step ?? null };
}

/** AdamW's, under our names; none where the file has none. Its SGD keeps one moment, which it never reads. */
function momentsOf(
  optimizer: OptimizerState | null,
  trainable: readonly TensorSpec[],
  at: string,
): (readonly [string, HostTensor])[] {
  const found = optimizer?.moments ?? new Map<string, NamedTensors>();
  if (![...found.values()].some((moments) => moments.has(MOMENTS[1][0]))) return [];
  return MOMENTS.flatMap(([theirs, ours]) => {
    const tensors = [...found].flatMap(([parameter, moments]): [string, HostTensor][] => {
      const tensor = moments.get(theirs);
      return tensor ? [[parameter, tensor]] : [];
    });
    requireTensors(new Map(tensors), trainable, `${at}, ${theirs}`);
    return tensors.map(([parameter, tensor]) => [ours + parameter, tensor] as const);
  });
}

function requireTensors(tensors: NamedTensors, specs: readonly TensorSpec[], at: string): void {
  for (const { name, shape } of specs) {
    const tensor = tensors.get(name);
    if (tensor?.dtype === 'float32' && String(tensor.shape) === String(shape)) continue;
    const found = tensor ? `${tensor.dtype} [${tensor.shape.join(', ')}]` : 'nothing';
    throw new InputError(
      'ORT_CHECKPOINT_MODULE',
      `${at}: tensor ${quoted(name)}: found ${found}, allowed: float32 [${shape.join(', ')}]`,
    );
  }
  const known = new Set(specs.map(({ name }) => name));
  const extra = [...tensors.keys()].find((name) => !known.has(name));
  if (extra === undefined) return;
  throw new InputError(
    'ORT_CHECKPOINT_MODULE',
    `${at}: tensor ${quoted(extra)}: the recipe's module has none of that name`,
  );
}
