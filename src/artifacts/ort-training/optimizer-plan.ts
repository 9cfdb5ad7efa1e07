/** What of an optimizer is part of a training model: what ONNX Runtime's own does not do, and what no session can read out of it. */
import { add, type Graph, mul, type Value } from '../../graph/index.js';
import type { NamedValue } from '../../lower/index.js';
import type { OptimizerConfig } from '../../recipe/types.js';

/** A running statistic of a batch norm, or state of the optimizer. */
export interface Kept extends NamedValue {
  readonly next: Value;
}

/** A trained parameter and its gradient. */
export interface NamedParameter extends NamedValue {
  readonly gradient: Value;
}

export interface ParameterPlan {
  /** What goes into the gradient's buffer. */
  readonly direction: Value;
  readonly kept: readonly Kept[];
}

/**
 * ONNX Runtime's SGD has neither momentum nor weight decay, so they are part of the training model, and what it hands on is the direction of the step. AdamW
 * takes the gradient.
 *
 * @param moments whether the training model keeps AdamW's moments as well, for sessions that cannot read them
 */
export function planOptimizer(
  graph: Graph,
  optimizer: OptimizerConfig,
  parameter: NamedParameter,
  moments: boolean,
): ParameterPlan {
  if (optimizer.type === 'sgd') return sgd(graph, optimizer, parameter);
  return { direction: parameter.gradient, kept: moments ? adamMoments(graph, optimizer, parameter) : [] };
}

function sgd(
  graph: Graph,
  { momentum, nesterov, weightDecay }: Extract<OptimizerConfig, { type: 'sgd' }>,
  { name, value, gradient }: NamedParameter,
): ParameterPlan {
  const decayed = weightDecay === 0 ? gradient : add(gradient, mul(value, weightDecay));
  if (momentum === 0) return { direction: decayed, kept: [] };
  const state = `momentum/${name}`;
  const velocity = graph.inputs.get(state)!;
  const next = add(mul(velocity, momentum), decayed);
  return {
    direction: nesterov ? add(decayed, mul(next, momentum)) : next,
    kept: [{ name: state, value: velocity, next }],
  };
}

/** As the kernel of `AdamWOptimizer` computes them, in its order and with its rounding: a run that goes on with them has the bits of one that never stopped. */
function adamMoments(
  graph: Graph,
  { beta1, beta2 }: Extract<OptimizerConfig, { type: 'adamw' }>,
  { name, gradient }: NamedParameter,
): Kept[] {
  const moment = (prefix: string, beta: number, term: (share: number) => Value): Kept => {
    const value = graph.inputs.get(prefix + name)!;
    // The kernel has β as float32 and takes 1 - β from that.
    const rounded = Math.fround(beta);
    return { name: prefix + name, value, next: add(mul(value, rounded), term(1 - rounded)) };
  };
  return [
    moment('adam.m/', beta1, (share) => mul(gradient, share)),
    moment('adam.v/', beta2, (share) => mul(mul(gradient, share), gradient)),
  ];
}

/** Whether what a checkpoint holds beside the trained parameters is state of the optimizer; otherwise it is a running statistic. */
export const isOptimizerState = (name: string): boolean => /^(?:momentum|adam\.[mv])\//.test(name);
