/** Optimizers as graph functions: from a parameter, its gradient and its state to their next values. */
import { add, div, type Graph, mul, sqrt, sub, type Value } from '../graph/index.js';
import type { OptimizerConfig } from '../recipe/types.js';

/** Scalars of the optimizers, each a float32 graph input of shape []. */
export type OptimizerScalar = 'learning_rate' | 'bias_correction1' | 'bias_correction2';

/** What an update is made with, beside the optimizer's own settings. */
export interface UpdateContext {
  readonly scalar: (name: OptimizerScalar) => Value;
  /** Of the parameters at hand; 0 while gradients are only gathered. */
  readonly learningRate: () => Value;
  /**
   * `value`, but `idle` while gradients are only gathered: gradients and learning rate are 0 then, and parameter and states must come out as they
   * went in, to the bit.
   */
  readonly coefficient: (value: number, idle: number) => Value | number;
}

export interface Optimizer {
  readonly scalars: readonly OptimizerScalar[];
  /** The scalars of step `step` (1-based). */
  scalarValues(learningRate: number, step: number): ReadonlyMap<OptimizerScalar, number>;
  /** Names of what is kept for a parameter. */
  stateNames(parameter: string): readonly string[];
  /** Next values of the parameter and of its states, in the order of `stateNames`. */
  update(
    parameter: Value,
    gradient: Value,
    states: readonly Value[],
    context: UpdateContext,
  ): { readonly parameter: Value; readonly states: readonly Value[] };
}

export function createOptimizer(config: OptimizerConfig): Optimizer {
  return config.type === 'sgd' ? sgd(config) : adamw(config);
}

/** The weight decay of a parameter: biases and what belongs to batch norm are vectors, filters and matrices are not. */
function decayOf({ shape }: Value, { weightDecay, decayVectors = true }: OptimizerConfig): number {
  return decayVectors || shape.length > 1 ? weightDecay : 0;
}

/** A float32 input of shape [] for each scalar, shared by all updates of a graph. */
export function scalarInputs<Name extends string>(graph: Graph): (name: Name) => Value {
  return (name) => graph.inputs.get(name) ?? graph.input(name, 'float32', []);
}

/**
 * SGD as PyTorch's (Sutskever et al. 2013 for Nesterov): g ← g + wd·θ; v ← μ·v + g; θ ← θ - lr·(g + μ·v) with Nesterov,
 * θ - lr·v without. v starts at 0.
 */
function sgd(config: Extract<OptimizerConfig, { type: 'sgd' }>): Optimizer {
  const { momentum, nesterov } = config;
  return {
    scalars: ['learning_rate'],
    scalarValues: (learningRate) => new Map([['learning_rate', learningRate]]),
    stateNames: (parameter) => (momentum === 0 ? [] : [`momentum/${parameter}`]),
    update: (parameter, gradient, [velocity], { learningRate, coefficient }) => {
      const weightDecay = decayOf(parameter, config);
      const decayed = weightDecay === 0 ? gradient : add(gradient, mul(parameter, coefficient(weightDecay, 0)));
      if (!velocity) return { parameter: sub(parameter, mul(decayed, learningRate())), states: [] };
      const next = add(mul(velocity, coefficient(momentum, 1)), decayed);
      const direction = nesterov ? add(decayed, mul(next, momentum)) : next;
      return { parameter: sub(parameter, mul(direction, learningRate())), states: [next] };
    },
  };
}

/**
 * AdamW (Loshchilov & Hutter 2019), as PyTorch's: θ ← θ·(1 - lr·wd) - lr·m̂ / (sqrt(v̂) + ε). The bias corrections
 * 1 - βᵗ are inputs, since float32 powers of β lose them.
 */
function adamw(config: Extract<OptimizerConfig, { type: 'adamw' }>): Optimizer {
  const { beta1, beta2, epsilon } = config;
  return {
    scalars: ['learning_rate', 'bias_correction1', 'bias_correction2'],
    scalarValues: (learningRate, step) =>
      new Map([
        ['learning_rate', learningRate],
        ['bias_correction1', 1 - beta1 ** step],
        ['bias_correction2', 1 - beta2 ** step],
      ]),
    stateNames: (parameter) => [`adam.m/${parameter}`, `adam.v/${parameter}`],
    update: (parameter, gradient, [m, v], { scalar, learningRate, coefficient }) => {
      const rate = learningRate();
      const nextM = add(mul(m!, coefficient(beta1, 1)), mul(gradient, 1 - beta1));
      const nextV = add(mul(v!, coefficient(beta2, 1)), mul(mul(gradient, gradient), 1 - beta2));
      const scale = add(sqrt(div(nextV, scalar('bias_correction2'))), epsilon);
      const move = mul(div(div(nextM, scalar('bias_correction1')), scale), rate);
      const weightDecay = decayOf(parameter, config);
      const decayed = weightDecay === 0 ? parameter : sub(parameter, mul(parameter, mul(rate, weightDecay)));
      return { parameter: sub(decayed, move), states: [nextM, nextV] };
    },
  };
}
