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

/** Parameters of each module, heads included, with what the optimizer keeps for them. */
export function keptByModule({ modules, parameters, states }: StepGraph): number[] {
  const bytes = new Map(parameters.map(({ name, shape }) => [name, 4 * elementCount(shape)]));
  const all = new Map(bytes);
  for (const { parameter } of states) all.set(parameter, all.get(parameter)! + bytes.get(parameter)!);
  return modules.map(({ parameters: trunk, headParameters }) =>
    [...trunk, ...headParameters].reduce((sum, name) => sum + all.get(name)!, 0),
  );
}
