/** Optimizers as graph functions: from a parameter, its gradient and its state to their next values. */
import { add, div, type Graph, mul, sqrt, sub, type Value } from '../graph/index.js';
import type { OptimizerConfig } from '../recipe/types.js';

/** A tensor that an optimizer keeps for a parameter, of the parameter's shape, starting at zero. */
export interface StateSpec {
  readonly name: string;
  readonly parameter: string;
  readonly shape: readonly number[];
}

/** Scalars that a step is given, each a float32 graph input of shape []. */
export type StepScalar = 'learning_rate' | 'bias_correction1' | 'bias_correction2';

export interface Optimizer {
  readonly scalars: readonly StepScalar[];
  /** The scalars of step `step` (1-based). */
  scalarValues(learningRate: number, step: number): ReadonlyMap<StepScalar, number>;
  /** Names of what is kept for a parameter. */
  stateNames(parameter: string): readonly string[];
  /** Next values of the parameter and of its states, in the order of `stateNames`. */
  update(
    parameter: Value,
    gradient: Value,
    states: readonly Value[],
    scalar: (name: StepScalar) => Value,
  ): { readonly parameter: Value; readonly states: readonly Value[] };
}

export function createOptimizer(config: OptimizerConfig): Optimizer {
  return config.type === 'sgd' ? sgd(config) : adamw(config);
}

/** A float32 input of shape [] for each scalar, shared by all updates of a graph. */
export function scalarInputs(graph: Graph): (name: StepScalar) => Value {
  return (name) => graph.inputs.get(name) ?? graph.input(name, 'float32', []);
}

/**
 * SGD as PyTorch's (Sutskever et al. 2013 for Nesterov): g ← g + wd·θ; v ← μ·v + g; θ ← θ - lr·(g + μ·v) with Nesterov,
 * θ - lr·v without. v starts at 0.
 */
function sgd(config: Extract<OptimizerConfig, { type: 'sgd' }>): Optimizer {
  const { momentum, nesterov, weightDecay } = config;
  return {
    scalars: ['learning_rate'],
    scalarValues: (learningRate) => new Map([['learning_rate', learningRate]]),
    stateNames: (parameter) => (momentum === 0 ? [] : [`momentum/${parameter}`]),
    update: (parameter, gradient, [velocity], scalar) => {
      const decayed = weightDecay === 0 ? gradient : add(gradient, mul(parameter, weightDecay));
      if (!velocity) return { parameter: sub(parameter, mul(decayed, scalar('learning_rate'))), states: [] };
      const next = add(mul(velocity, momentum), decayed);
      const direction = nesterov ? add(decayed, mul(next, momentum)) : next;
      return { parameter: sub(parameter, mul(direction, scalar('learning_rate'))), states: [next] };
    },
  };
}

/**
 * AdamW (Loshchilov & Hutter 2019), as PyTorch's: θ ← θ·(1 - lr·wd) - lr·m̂ / (sqrt(v̂) + ε). The bias corrections
 * 1 - βᵗ are inputs, since float32 powers of β lose them.
 */
function adamw(config: Extract<OptimizerConfig, { type: 'adamw' }>): Optimizer {
  const { beta1, beta2, epsilon, weightDecay } = config;
  return {
    scalars: ['learning_rate', 'bias_correction1', 'bias_correction2'],
    scalarValues: (learningRate, step) =>
      new Map([
        ['learning_rate', learningRate],
        ['bias_correction1', 1 - beta1 ** step],
        ['bias_correction2', 1 - beta2 ** step],
      ]),
    stateNames: (parameter) => [`adam.m/${parameter}`, `adam.v/${parameter}`],
    update: (parameter, gradient, [m, v], scalar) => {
      const rate = scalar('learning_rate');
      const nextM = add(mul(m!, beta1), mul(gradient, 1 - beta1));
      const nextV = add(mul(v!, beta2), mul(mul(gradient, gradient), 1 - beta2));
      const scale = add(sqrt(div(nextV, scalar('bias_correction2'))), epsilon);
      const move = mul(div(div(nextM, scalar('bias_correction1')), scale), rate);
      const decayed = weightDecay === 0 ? parameter : sub(parameter, mul(parameter, mul(rate, weightDecay)));
      return { parameter: sub(decayed, move), states: [nextM, nextV] };
    },
  };
}
