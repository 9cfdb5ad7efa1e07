/**
 * How parameters are updated, whatever the optimizer: gradients gathered over micro-batches, clipped, the optimizer's step at the learning rate of
 * their module, moving averages.
 *
 * With micro-batches a step is several *runs* of the graphs. Each adds its gradients to the sum of those before; the last one, and only that, moves
 * parameters, optimizer state and averages.
 */
import { add, type Graph, mul, sub, type Value } from '../graph/index.js';
import type { OptimizerConfig } from '../recipe/types.js';
import { clipByGlobalNorm } from './clip.js';
import { createOptimizer, type Optimizer, scalarInputs } from './optimizers.js';
import { averagePrefix, type StateSpec, type StepScalar } from './step-values.js';
import { UpdateGroup } from './update-group.js';

/** A parameter and ∂loss/∂parameter. */
export interface Differentiated {
  readonly name: string;
  readonly parameter: Value;
  readonly gradient: Value;
}

export interface GroupSettings {
  /** Of the learning rate. */
  readonly factor: number;
  /** Whether moving averages are kept, where the recipe has any. */
  readonly averaged: boolean;
}

/** What an update makes of parameters. */
export interface GroupUpdate {
  /** By parameter: the mean over the runs of the step, before clipping; there in the last run. */
  readonly gradients: ReadonlyMap<string, Value>;
  /** Next values, by the name of a parameter or state. */
  readonly next: ReadonlyMap<string, Value>;
  readonly states: readonly StateSpec[];
}

/** A moving average and its next value. */
export interface Average {
  readonly state: StateSpec;
  readonly next: Value;
}

export class UpdateRule {
  private readonly optimizer: Optimizer;

  /** @param runs of the graphs in a step, from 1 */
  constructor(
    private readonly config: OptimizerConfig,
    private readonly runs = 1,
  ) {
    this.optimizer = createOptimizer(config);
  }

  get scalars(): readonly StepScalar[] {
    return [
      ...this.optimizer.scalars,
      ...(this.config.ema ? (['ema_rate'] as const) : []),
      ...(this.runs > 1 ? (['accumulate', 'apply'] as const) : []),
    ];
  }

  /** The scalars of a run. @param run 1-based count of all runs, those of earlier steps included */
  scalarValues(learningRate: number, run: number): ReadonlyMap<StepScalar, number> {
    const step = Math.ceil(run / this.runs);
    const values = new Map<StepScalar, number>(this.optimizer.scalarValues(learningRate, step));
    const { ema } = this.config;
    if (ema) values.set('ema_rate', 1 - (ema.warmup ? Math.min(ema.decay, step / (step + 9)) : ema.decay));
    if (this.runs === 1) return values;
    const index = (run - 1) % this.runs;
    return values.set('accumulate', index === 0 ? 0 : 1).set('apply', index === this.runs - 1 ? 1 : 0);
  }

  /** Updates parameters whose gradients are clipped together. Their states become inputs of the graph. */
  update(graph: Graph, parameters: readonly Differentiated[], { factor, averaged }: GroupSettings): GroupUpdate {
    const { learningRateFactors, clipNorm } = this.config;
    const group = new UpdateGroup(graph, learningRateFactors ? factor : null, this.runs);
    const means = parameters.map(({ name, gradient }) => group.gather(name, gradient));
    const clipped =
      clipNorm === undefined || means.length === 0
        ? means
        : graph.scoped('optimizer/clip', () => clipByGlobalNorm(means, clipNorm));
    parameters.forEach(({ name, parameter }, i) => {
      const next = group.step(this.optimizer, name, parameter, clipped[i]!);
      const average = averaged ? this.average(graph, name, next) : null;
      if (average) group.keep(average.state, average.next);
    });
    const { next, states } = group;
    return { gradients: new Map(parameters.map(({ name }, i) => [name, means[i]!])), next, states };
  }

  /** The moving average of what has a next value: ema + rate·(next - ema). null where the recipe has none. */
  average(graph: Graph, parameter: string, value: Value): Average | null {
    if (!this.config.ema) return null;
    const name = `${averagePrefix}${parameter}`;
    const shape = value.shape as readonly number[];
    const before = graph.input(name, 'float32', shape);
    const next = graph.scoped(name, () => {
      const scalar = scalarInputs<StepScalar>(graph);
      const rate = this.runs > 1 ? mul(scalar('ema_rate'), scalar('apply')) : scalar('ema_rate');
      return add(before, mul(sub(value, before), rate));
    });
    return { state: { name, parameter, shape, start: 'parameter' }, next };
  }
}
