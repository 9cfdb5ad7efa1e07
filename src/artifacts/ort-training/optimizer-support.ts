/** Which optimizers training sessions have. */
import { InputError } from '../../errors.js';
import type { OptimizerConfig } from '../../recipe/types.js';

const SUPPORTED = {
  sgd: ['type', 'learningRate', 'momentum', 'nesterov', 'weightDecay'],
  adamw: ['type', 'learningRate', 'beta1', 'beta2', 'epsilon', 'weightDecay'],
} as const;

/**
 * A training session steps all parameters alike, with the gradients of one batch, and keeps nothing beside.
 * @throws InputError `ORT_TRAINING_OPTIMIZER` for a setting that needs more
 */
export function requireSupported(optimizer: OptimizerConfig): void {
  const known: readonly string[] = SUPPORTED[optimizer.type];
  for (const [key, value] of Object.entries(optimizer)) {
    if (known.includes(key) || value === undefined) continue;
    throw new InputError(
      'ORT_TRAINING_OPTIMIZER',
      `optimizer.${key}: found ${JSON.stringify(value)}, allowed with training sessions of ONNX Runtime: ${known.join(', ')}`,
    );
  }
}
