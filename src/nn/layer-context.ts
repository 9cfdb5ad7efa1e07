/** What a layer needs to know of its surroundings: where its parameters live, and whether it trains. */
import type { Graph, Value } from '../graph/index.js';
import type { Initializer, ParameterStore } from './parameters.js';

/** Momentum with which running statistics advance, as PyTorch's default. */
export const statisticsMomentum = 0.1;

export interface StatisticsTracking {
  /** Called with the name of a running statistic and its next value. */
  readonly record: (name: string, next: Value) => void;
  /** Forward passes that one step stands for (each advances the statistics once). */
  readonly passes: number;
}

export interface LayerMode {
  /** Batch norm uses the batch's statistics; otherwise the running ones. */
  readonly training: boolean;
  /** Running statistics to keep while training; null where nobody will read them (heads). */
  readonly statistics: StatisticsTracking | null;
}

/** A place in the tree of layers, e.g. `layer1.0`. */
export class LayerContext {
  constructor(
    readonly store: ParameterStore,
    readonly mode: LayerMode,
    readonly path: string = '',
  ) {}

  get graph(): Graph {
    return this.store.graph;
  }

  /** Full name of something that lives here. */
  name(leaf: string): string {
    return this.path ? `${this.path}.${leaf}` : leaf;
  }

  parameter(leaf: string, shape: readonly number[], init: Initializer): Value {
    return this.store.declare({ name: this.name(leaf), shape, init, kind: 'parameter' });
  }

  statistic(leaf: string, shape: readonly number[], value: number): Value {
    return this.store.declare({
      name: this.name(leaf),
      shape,
      init: { kind: 'constant', value },
      kind: 'statistic',
    });
  }

  /** Builds inside the child `name`; nodes made there carry its full path. */
  child<T>(name: string, build: (context: LayerContext) => T): T {
    const context = new LayerContext(this.store, this.mode, this.name(name));
    return this.graph.scoped(name, () => build(context));
  }
}
