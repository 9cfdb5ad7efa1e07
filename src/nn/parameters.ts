/** Parameters of a network: what exists, under which name, how it starts, and its value in a graph. */
import { UsageError } from '../errors.js';
import type { Graph, Value } from '../graph/index.js';

/** How a tensor's elements are drawn. */
export type Initializer =
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'constant'; readonly value: number };

/** A float32 tensor that outlives a step. A `statistic` (batch-norm running mean or variance) has no gradient. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Initializer;
  readonly kind: 'parameter' | 'statistic';
}

/** All parameters that a graph declares; each is an input of the graph under its own name. */
export class ParameterStore {
  readonly specs = new Map<string, ParameterSpec>();
  private readonly byPlace = new Map<string, ParameterSpec[]>();

  constructor(readonly graph: Graph) {}

  /** The value of a parameter, declared at its first use. @throws UsageError where it was declared with another shape */
  declare(spec: ParameterSpec): Value {
    const known = this.specs.get(spec.name);
    if (!known) {
      this.specs.set(spec.name, spec);
      for (const place of placesOf(spec.name)) {
        const others = this.byPlace.get(place);
        if (others) others.push(spec);
        else this.byPlace.set(place, [spec]);
      }
      return this.graph.input(spec.name, 'float32', spec.shape);
    }
    if (known.shape.join() !== spec.shape.join()) {
      throw new UsageError(
        'PARAMETER_SHAPE',
        `parameter ${spec.name} is [${known.shape.join(', ')}] and cannot also be [${spec.shape.join(', ')}]`,
      );
    }
    return this.graph.inputs.get(spec.name)!;
  }

  /** What has been declared below a place in the tree of layers, e.g. `layer1.0`, in the order of declaration. */
  below(place: string): readonly ParameterSpec[] {
    return this.byPlace.get(place) ?? [];
  }
}

/** `layer1` and `layer1.0` for `layer1.0.weight`. */
function placesOf(name: string): string[] {
  const parts = name.split('.');
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('.'));
}
