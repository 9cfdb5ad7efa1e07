/**
 * What each local module's training model computes, in the logical graph of the step.
 *
 * ONNX Runtime's training session runs forward and backward passes as one graph. So the tasks of a module become one: its input and, with HiLo, the
 * relay of its neighbour above come in; its losses, its output and the relay for its neighbour below go out, and a gradient for each parameter.
 */
import { UsageError } from '../../errors.js';
import { addAll, type Graph, mul, type Value } from '../../graph/index.js';
import type { StepGraph } from '../../local/index.js';
import { cut, type GraphSlice, type NamedValue } from '../../lower/index.js';
import type { Recipe } from '../../recipe/types.js';
import { type Kept, type ParameterPlan, planOptimizer } from './optimizer-plan.js';

export interface ModulePlan {
  readonly index: number;
  /** Forward and backward passes, gradients named `<parameter>_grad`. */
  readonly training: GraphSlice;
  /** Losses and output alone. */
  readonly evaluation: GraphSlice;
  /** The output alone; null where no other module waits for it before this one has its relay. */
  readonly forward: GraphSlice | null;
  /** Inputs that are given anew for each batch. */
  readonly inputs: readonly NamedValue[];
  /** What the user is given of the training model: losses, output, relay. */
  readonly outputs: readonly NamedValue[];
  /** Parameters that have a gradient, in the order of the models' inputs. */
  readonly trainable: readonly NamedValue[];
  /** Tensors that the training model keeps and overwrites by itself, and their next values. */
  readonly kept: readonly Kept[];
}

/** Name of the first output of every training and evaluation model: the weighted sum of the module's losses. */
export const lossName = 'loss';

/** Gradient of a parameter, by the convention of ONNX Runtime's training API. */
export const gradientName = (parameter: string): string => `${parameter}_grad`;

/** What training models do beside training. */
export interface PlanOptions {
  /** They also output the gradient of every parameter, as `grad/<parameter>`. */
  readonly gradients?: boolean;
  /** They also keep AdamW's moments, for sessions that cannot read those of ONNX Runtime's optimizer. */
  readonly moments?: boolean;
}

export function planModules(recipe: Recipe, step: StepGraph, options: PlanOptions = {}): ModulePlan[] {
  return step.modules.map((_, index) => new Planner(recipe, step, index, options).plan());
}

class Planner {
  private readonly graph: Graph;
  private readonly names: ReadonlyMap<Value, string>;

  constructor(
    private readonly recipe: Recipe,
    private readonly step: StepGraph,
    private readonly index: number,
    private readonly options: PlanOptions,
  ) {
    this.graph = step.graph;
    this.names = step.names;
  }

  plan(): ModulePlan {
    const { index } = this;
    const { parameters, headParameters } = this.step.modules[index]!;
    const trainable = [...parameters, ...headParameters].map((name) => ({ name, value: this.input(name) }));
    const { directions, states } = this.directions(trainable);
    const kept = [...this.statistics(parameters), ...states];
    const output = this.output();
    const relay = this.named(`relay/${index - 1}`);
    const losses = this.losses();
    const found = trainable.map(({ name }) => ({ name: `grad/${name}`, value: this.step.gradients.get(name)! }));
    const outputs = [...losses, output, ...(relay ? [relay] : []), ...(this.options.gradients ? found : [])];
    const updates = kept.map(({ name, next }) => ({ name: nextName(name), value: next }));
    const training = this.slice('training', [...outputs, ...directions, ...updates]);
    const own = new Set([...trainable, ...kept].map(({ name }) => name));
    const waits = this.step.shape.relays && index < this.step.shape.modules - 1;
    return {
      index,
      training,
      evaluation: this.slice('evaluation', [...losses, output], kept),
      forward: waits ? this.slice('forward', [output]) : null,
      inputs: training.inputs.filter(({ name }) => !own.has(name)).sort((a, b) => this.place(a) - this.place(b)),
      outputs,
      trainable,
      kept,
    };
  }

  /** @param extra inputs that lowering adds readers for */
  private slice(kind: string, outputs: readonly NamedValue[], extra: readonly NamedValue[] = []): GraphSlice {
    const own = `${this.index}/`;
    const found = cut(
      `${this.index}/${kind}`,
      outputs,
      ({ section }) => section.startsWith(own),
      (value) => this.entering(value),
    );
    const known = new Set(found.inputs.map(({ name }) => name));
    const more = extra.filter(({ name }) => !known.has(name)).map(({ name, value }) => ({ name, value }));
    return { ...found, inputs: [...found.inputs, ...more] };
  }

  /** The module's own input first, as models have it; then what losses compare with, and the relay. */
  private place({ name }: NamedValue): number {
    const own = this.index === 0 ? 'image' : `feature/${this.index - 1}`;
    return [own, 'image', 'label', `relay/${this.index}`].indexOf(name);
  }

  private entering(value: Value): string {
    const name = this.names.get(value);
    if (name !== undefined) return name;
    throw new UsageError(
      'ORT_TRAINING_CROSSING',
      `module ${this.index}: ${value.toString()} comes from another module`,
    );
  }

  private input(name: string): Value {
    return this.graph.inputs.get(name)!;
  }

  /** A value with a name that this module makes. */
  private named(name: string): NamedValue | null {
    const own = `${this.index}/`;
    const found = [...this.names].find(([value, known]) => known === name && value.producer?.section.startsWith(own));
    return found ? { name, value: found[0] } : null;
  }

  private output(): NamedValue {
    return this.named(`feature/${this.index}`) ?? this.named('logits')!;
  }

  /** The total of the module's losses, and each before weighting. */
  private losses(): NamedValue[] {
    const own = this.step.losses.filter(({ name }) => name.startsWith(`${this.index}/`));
    const total = this.graph.within(`${this.index}/loss`, () => {
      const weighted = own.filter(({ weight }) => weight !== 0).map(({ value, weight }) => mul(value, weight));
      // The first module has no loss of its own under HiLo: its neighbour's cascade teaches it.
      return weighted.length > 0 ? addAll(weighted) : this.graph.scalar(0);
    });
    return [{ name: lossName, value: total }, ...own.map(({ name, value }) => ({ name: `loss/${name}`, value }))];
  }

  private statistics(parameters: readonly string[]): Kept[] {
    const layers = new Set(parameters.map(layerOf));
    return this.step.parameters
      .filter(({ kind, name }) => kind === 'statistic' && layers.has(layerOf(name)))
      .map(({ name }) => ({ name, value: this.input(name), next: this.step.updates.get(name)! }));
  }

  /** What goes into the gradients' buffers, and what the optimizer keeps in the training model. */
  private directions(trainable: readonly NamedValue[]): { directions: NamedValue[]; states: Kept[] } {
    const { optimizer } = this.recipe;
    const { moments = false } = this.options;
    const plans = trainable.map(({ name, value }) => {
      const gradient = this.step.gradients.get(name)!;
      const plan = (): ParameterPlan => planOptimizer(this.graph, optimizer, { name, value, gradient }, moments);
      return this.graph.within(`${this.index}/optimizer`, () => this.graph.scoped(`optimizer/${name}`, plan));
    });
    return {
      directions: trainable.map(({ name }, i) => ({ name: gradientName(name), value: plans[i]!.direction })),
      states: plans.flatMap(({ kept }) => kept),
    };
  }
}

/** Name of the next value of something that is kept, inside the training model. */
export const nextName = (name: string): string => `next/${name}`;

/** The layer that a parameter or statistic belongs to. */
const layerOf = (name: string): string => name.slice(0, name.lastIndexOf('.'));
