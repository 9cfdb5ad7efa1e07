/** What training keeps from step to step, in bytes. */
import { elementCount } from '../files/tensor.js';
import { averagePrefix } from '../nn/index.js';
import type { StepGraph } from './step.js';

export interface KeptBytes {
  /** Parameters and running statistics, those of heads included. */
  readonly weightBytes: number;
  /** What the optimizer keeps, such as momentum. */
  readonly optimizerBytes: number;
  /** Moving averages of weights and running statistics. */
  readonly averageBytes: number;
  /** Sums of gradients over the micro-batches of a step. */
  readonly gradientSumBytes: number;
}

export function keptBytes({ parameters, states }: StepGraph): KeptBytes {
  const total = (list: readonly { readonly shape: readonly number[] }[]): number =>
    list.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
  const isAverage = ({ name }: { readonly name: string }): boolean => name.startsWith(averagePrefix);
  return {
    weightBytes: total(parameters),
    optimizerBytes: total(states.filter((state) => !state.transient && !isAverage(state))),
    averageBytes: total(states.filter(isAverage)),
    gradientSumBytes: total(states.filter(({ transient }) => transient)),
  };
}
