/** What a run of a step's graphs is given beside images and parameters: scalars, and what is kept from run to run. */
import type { OptimizerScalar } from './optimizers.js';

/**
 * Scalars of a run, each a float32 graph input of shape []. `ema_rate` is the share by which moving averages go towards the new weights. With
 * micro-batches `accumulate` is 0 in the first run of a step and 1 in the others, `apply` is 1 in the last run and 0 in the others.
 */
export type StepScalar = OptimizerScalar | 'ema_rate' | 'accumulate' | 'apply';

/** A tensor that is kept from run to run for a parameter, or for a running statistic, of its shape. */
export interface StateSpec {
  readonly name: string;
  readonly parameter: string;
  readonly shape: readonly number[];
  /** What it starts as: the parameter; absent: zeros. */
  readonly start?: 'parameter';
  /** Worth nothing between two steps, so no checkpoint has it. */
  readonly transient?: true;
}

/** Prefix of the names of moving averages. */
export const averagePrefix = 'ema/';
