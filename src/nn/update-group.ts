/** Writes the updates of one group of parameters into a graph. */
import { add, type Graph, mul, sub, type Value } from '../graph/index.js';
import { type Optimizer, scalarInputs, type UpdateContext } from './optimizers.js';
import type { StateSpec, StepScalar } from './step-values.js';

export class UpdateGroup {
  /** Next values, by the name of a parameter or state. */
  readonly next = new Map<string, Value>();
  readonly states: StateSpec[] = [];
  private readonly scalar: (name: StepScalar) => Value;
  private readonly context: UpdateContext;
  /** apply / runs */
  private readonly share: () => Value;

  /**
   * @param factor of the learning rate; null: it is used as it is
   * @param runs of the graphs in a step
   */
  constructor(
    private readonly graph: Graph,
    factor: number | null,
    private readonly runs: number,
  ) {
    const scalar = scalarInputs<StepScalar>(graph);
    this.scalar = scalar;
    this.share = once(() => mul(scalar('apply'), 1 / runs));
    this.context = {
      scalar,
      learningRate: once(() => {
        const rate = factor === null ? scalar('learning_rate') : mul(scalar('learning_rate'), factor);
        return runs > 1 ? mul(rate, scalar('apply')) : rate;
      }),
      coefficient: runs > 1 ? idling(scalar) : (value) => value,
    };
  }

  /** The mean of a gradient over the runs of a step in the last of them, 0 before. */
  gather(name: string, gradient: Value): Value {
    if (this.runs === 1) return gradient;
    const shape = gradient.shape as readonly number[];
    const state = `accumulated/${name}`;
    const before = this.graph.input(state, 'float32', shape);
    return this.graph.scoped(`optimizer/${name}`, () => {
      const sum = add(mul(before, this.scalar('accumulate')), gradient);
      this.keep({ name: state, parameter: name, shape, transient: true }, sum);
      return mul(sum, this.share());
    });
  }

  /** One step of the optimizer. @returns the parameter's next value */
  step(optimizer: Optimizer, name: string, parameter: Value, gradient: Value): Value {
    const shape = parameter.shape as readonly number[];
    const stateNames = optimizer.stateNames(name);
    const states = stateNames.map((state) => this.graph.input(state, 'float32', shape));
    const next = this.graph.scoped(`optimizer/${name}`, () =>
      optimizer.update(parameter, gradient, states, this.context),
    );
    this.next.set(name, next.parameter);
    stateNames.forEach((state, i) => this.keep({ name: state, parameter: name, shape }, next.states[i]!));
    return next.parameter;
  }

  keep(state: StateSpec, next: Value): void {
    this.states.push(state);
    this.next.set(state.name, next);
  }
}

/** Coefficients that change while gradients are only gathered: apply·value + (1 - apply)·idle, exact where `apply` is 0 or 1. */
function idling(scalar: (name: StepScalar) => Value): UpdateContext['coefficient'] {
  const rest = once(() => sub(1, scalar('apply')));
  const made = new Map<string, Value>();
  return (value, idle) => {
    const key = `${value}/${idle}`;
    const known = made.get(key);
    if (known) return known;
    const applied = mul(scalar('apply'), value);
    const result = idle === 0 ? applied : add(applied, mul(rest(), idle));
    made.set(key, result);
    return result;
  };
}

/** Makes its value when it is first asked for: nodes stand where they are first needed. */
function once(make: () => Value): () => Value {
  let made: Value | undefined;
  return () => (made ??= make());
}
