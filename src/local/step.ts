/**
 * The whole training step as one graph, each node in the section of its task (HPFF, section 3), with one forward pass per module.
 *
 *     forward:  h_i = E_i(h_{i-1})
 *     heads:    a_i from the independent head, b_i from the cascade heads, both at h_i
 *     relay:    r_{i-1} = J_iᵀ b_i
 *     update:   ∂θ_i from one backward pass of E_i with cotangent a_i + b_i + r_i
 *
 * The last module's head is the network's own classifier, supervised at weight w_ind + w_cas; its relay has the w_cas part.
 */
import { InputError } from '../errors.js';
import { gradients, type Seed } from '../grad/index.js';
import { add, addAll, Graph, mul, reshape, softmaxCrossEntropy, type Value, zerosLike } from '../graph/index.js';
import { type Block, createTrunk, type Part } from '../networks/index.js';
import {
  type GroupSettings,
  LayerContext,
  type ParameterSpec,
  ParameterStore,
  type StateSpec,
  UpdateRule,
} from '../nn/index.js';
import type { Recipe } from '../recipe/types.js';
import { moduleFactors } from './learning-rates.js';
import { runHead } from './patches.js';
import { type Level, type LocalRuleHeads, localRules, type Targets, type WeightedHead } from './rules/index.js';
import { splitBlocks } from './split.js';
import { sectionOf, type StepShape, stepTasks, type Task } from './tasks.js';

/** A loss that a step reports. */
export interface LossTerm {
  /** `<module>/<independent|cascade|final>/<classifier|decoder|similarity>` */
  readonly name: string;
  /** In the total. */
  readonly weight: number;
  /** Before weighting, shape []. */
  readonly value: Value;
}

/** A local module of the step. */
export interface LocalModule {
  readonly index: number;
  /** Names of its parts in order; the first module has the stem, the last the classifier. */
  readonly parts: readonly string[];
  /** Names of the trunk parameters that it updates. */
  readonly parameters: readonly string[];
  /** Names of its heads' parameters. */
  readonly headParameters: readonly string[];
}

export interface StepGraph {
  readonly graph: Graph;
  /** Images of one run of the graph, and runs in a step: more than 1 with micro-batches. */
  readonly images: number;
  readonly runs: number;
  readonly shape: StepShape;
  /** In synchronous order. */
  readonly tasks: readonly Task[];
  readonly modules: readonly LocalModule[];
  /** Parameters and running statistics. */
  readonly parameters: readonly ParameterSpec[];
  /** What the optimizer keeps. */
  readonly states: readonly StateSpec[];
  readonly optimizer: UpdateRule;
  readonly losses: readonly LossTerm[];
  /** Gradient of the weighted losses, by parameter; with micro-batches their mean, in the last run. */
  readonly gradients: ReadonlyMap<string, Value>;
  /** Next value of every parameter, statistic and state that a step changes, by its name. */
  readonly updates: ReadonlyMap<string, Value>;
  /** Features h_i, cotangents and relays by a readable name, for what passes between tasks. */
  readonly names: ReadonlyMap<Value, string>;
}

/**
 * Builds the step for batches of `batch` images, which are run at once unless the recipe's micro-batches are smaller.
 *
 * @param rule what heads modules have; another one than the recipe's is for trying out
 * @throws InputError where the recipe's split, patches or learning-rate factors do not fit the network, or its micro-batches the batch
 */
export function buildStep(recipe: Recipe, batch: number, rule = localRules[recipe.local.rule]): StepGraph {
  return new StepBuilder(recipe, batch, rule).build();
}

/** What a module has so far. */
interface ModuleState {
  readonly parts: readonly Part[];
  input: Value;
  output: Value;
  parameters: string[];
  /** Flows into the module's own parameters, not further. */
  ownCotangent: Value | null;
  /** Flows into the module's parameters and one hop further. */
  cascadeCotangent: Value | null;
  relay: Value | null;
}

class StepBuilder {
  private readonly graph: Graph;
  private readonly store: ParameterStore;
  private readonly image: Value;
  private readonly label: Value;
  private readonly images: number;
  private readonly runs: number;
  private readonly optimizer: UpdateRule;
  private readonly factors: ReturnType<typeof moduleFactors>;
  private readonly shape: StepShape;
  private readonly moduleParts: readonly (readonly Part[])[];
  private readonly blocks: readonly Block[];
  /** Index of the last block of each module. */
  private readonly lastBlocks: readonly number[];
  private readonly modules: ModuleState[] = [];
  private readonly losses: LossTerm[] = [];
  private readonly gradients = new Map<string, Value>();
  private readonly updates = new Map<string, Value>();
  private readonly states: StateSpec[] = [];
  private readonly names = new Map<Value, string>();
  private readonly independent: number;
  private readonly cascade: number;

  constructor(
    private readonly recipe: Recipe,
    batch: number,
    private readonly rule: LocalRuleHeads,
  ) {
    const trunk = createTrunk(recipe.network);
    this.graph = new Graph(recipe.name);
    this.store = new ParameterStore(this.graph);
    this.images = imagesAtOnce(recipe, batch);
    this.runs = batch / this.images;
    this.image = this.graph.input('image', 'float32', [this.images, ...recipe.network.image]);
    this.label = this.graph.input('label', 'int64', [this.images]);
    this.optimizer = new UpdateRule(recipe.optimizer, this.runs);
    const ranges = splitBlocks(trunk, recipe);
    this.blocks = trunk.blocks;
    this.lastBlocks = ranges.map(([, end]) => end - 1);
    this.moduleParts = ranges.map(([start, end], i) => [
      ...(i === 0 && trunk.stem ? [trunk.stem] : []),
      ...trunk.blocks.slice(start, end),
      ...(i === ranges.length - 1 ? [trunk.classifier] : []),
    ]);
    const { hierarchy } = recipe.local;
    this.independent = hierarchy?.independent ?? 1;
    this.cascade = hierarchy?.cascade ?? 0;
    const modules = ranges.length;
    this.factors = moduleFactors(recipe.optimizer.learningRateFactors, modules);
    const relays = this.cascade > 0 && modules > 1;
    const silent = relays
      ? [...ranges.keys()].filter((i) => i > 0 && i < modules - 1 && !this.cascadesAt(i, modules))
      : [];
    this.shape = { modules, relays, silent: new Set(silent) };
  }

  build(): StepGraph {
    const tasks = stepTasks(this.shape);
    for (const task of tasks) {
      const { module, phase } = task;
      this.graph.within(sectionOf(task), () => this[phase](module));
    }
    return {
      graph: this.graph,
      images: this.images,
      runs: this.runs,
      shape: this.shape,
      tasks,
      modules: this.modules.map(({ parts, parameters }, index) => ({
        index,
        parts: parts.map((part) => part.name),
        parameters,
        headParameters: this.store.below(`heads.${index}`).map(({ name }) => name),
      })),
      parameters: [...this.store.specs.values()],
      states: this.states,
      optimizer: this.optimizer,
      losses: this.losses,
      gradients: this.gradients,
      updates: this.updates,
      names: this.names,
    };
  }

  /** Whether any cascade head of a module has weight. */
  private cascadesAt(index: number, modules: number): boolean {
    return this.headsOf(index, modules, 'cascade').some(({ weight }) => weight > 0);
  }

  /** The heads that the local rule puts on a module, with their λ, which changes over the modules that have heads. */
  private headsOf(index: number, modules: number, level: Level): readonly WeightedHead[] {
    const place = {
      position: modules > 2 ? index / (modules - 2) : 0,
      reduction: this.blocks[this.lastBlocks[index]!]!.reduction,
      later: this.blocks.slice(this.lastBlocks[index]! + 1),
    };
    return this.rule(this.recipe, this.targets(), level, place);
  }

  private forward(index: number): void {
    const parts = this.moduleParts[index]!;
    const interior = index > 0 && index < this.shape.modules - 1;
    const context = new LayerContext(this.store, {
      training: true,
      statistics: {
        record: (name, next) => this.advance(name, next),
        passes: interior && this.shape.relays ? this.recipe.local.runningStatsPasses : 1,
      },
    });
    const input = this.modules[index - 1]?.output ?? this.image;
    const output = parts.reduce((x, part) => part.build(context, x), input);
    const parameters = parts
      .flatMap(({ name }) => this.store.below(name))
      .filter(({ kind }) => kind === 'parameter')
      .map(({ name }) => name);
    this.names.set(output, index === this.shape.modules - 1 ? 'logits' : `feature/${index}`);
    this.modules.push({
      parts,
      input,
      output,
      parameters,
      ownCotangent: null,
      cascadeCotangent: null,
      relay: null,
    });
  }

  /** Losses at a module's output and what flows back from them. */
  private heads(index: number): void {
    if (index === this.shape.modules - 1) this.finalLoss(index);
    else if (this.shape.relays) this.hierarchicalHeads(index);
    else this.modules[index]!.ownCotangent = this.level(index, 'alone', this.independent);
  }

  private finalLoss(index: number): void {
    const module = this.modules[index]!;
    const loss = softmaxCrossEntropy(module.output, this.label, this.recipe.loss?.labelSmoothing);
    const total = this.shape.relays || this.recipe.local.hierarchy ? this.independent + this.cascade : 1;
    this.losses.push({ name: `${index}/final/classifier`, weight: total, value: loss });
    // With relays one backward pass at weight w_cas serves the relay and, its parameter gradients rescaled, the update.
    const seed = this.graph.scalar(this.shape.relays ? this.cascade : total);
    const [cotangent] = gradients([{ output: loss, cotangent: seed }], [module.output]);
    module.cascadeCotangent = this.named(cotangent!, `cotangent/${index}`);
  }

  private hierarchicalHeads(index: number): void {
    const module = this.modules[index]!;
    const cascade = this.level(index, 'cascade', this.cascade);
    if (cascade) module.cascadeCotangent = this.named(cascade, `cascade/${index}`);
    const own = this.independent > 0 ? this.level(index, 'independent', this.independent) : null;
    if (own) module.ownCotangent = this.named(cascade ? add(own, cascade) : own, `cotangent/${index}`);
  }

  /** Runs all heads of one level, updates them, and returns the sum of the cotangents of the features; null where none has weight. */
  private level(index: number, level: Level, weight: number): Value | null {
    const { local } = this.recipe;
    const path = level === 'cascade' ? 'cascade' : 'independent';
    const features = this.modules[index]!.output;
    const root = new LayerContext(this.store, { training: true, statistics: null }, `heads.${index}.${path}`);
    const cotangents = this.headsOf(index, this.shape.modules, level).flatMap((weighted) => {
      const { kind } = weighted.head;
      const context = new LayerContext(this.store, root.mode, root.name(kind));
      const patches = local.patches?.on.includes(kind) ? local.patches : null;
      const result = runHead(weighted.head, context, features, weight * weighted.weight, patches);
      this.losses.push({
        name: `${index}/${path}/${kind}`,
        weight: weight * weighted.weight,
        value: result.loss,
      });
      this.apply(result.gradients, { factor: this.factors[index]!.heads, averaged: false });
      return result.cotangent ?? [];
    });
    return cotangents.length > 0 ? addAll(cotangents) : null;
  }

  private relay(index: number): void {
    const module = this.modules[index]!;
    const [relay] = gradients([{ output: module.output, cotangent: module.cascadeCotangent! }], [module.input]);
    this.sendRelay(index, relay!);
  }

  private update(index: number): void {
    const module = this.modules[index]!;
    const parameters = module.parameters.map((name) => this.graph.inputs.get(name)!);
    const isLast = index === this.shape.modules - 1;
    const relays = isLast && this.shape.relays;
    const cotangents = this.cotangents(module);
    const found =
      cotangents.length > 0
        ? gradients(cotangents, relays ? [module.input, ...parameters] : parameters)
        : parameters.map(zerosLike);
    if (relays) this.sendRelay(index, found.shift()!);
    const rescale = relays ? (this.independent + this.cascade) / this.cascade : 1;
    this.apply(
      new Map(module.parameters.map((name, i) => [name, rescale === 1 ? found[i]! : mul(found[i]!, rescale)])),
      { factor: this.factors[index]!.trunk, averaged: true },
    );
  }

  /** All that flows into a module's own parameters. */
  private cotangents({ output, ownCotangent, cascadeCotangent, relay }: ModuleState): Seed[] {
    // `ownCotangent` holds the cascade part already where there are both.
    return [ownCotangent ?? cascadeCotangent, relay].flatMap((cotangent) => (cotangent ? [{ output, cotangent }] : []));
  }

  private sendRelay(from: number, relay: Value): void {
    this.modules[from - 1]!.relay = this.named(relay, `relay/${from - 1}`);
  }

  /** Optimizer updates for the parameters of a trunk's module or of a head, with these gradients. */
  private apply(found: ReadonlyMap<string, Value>, settings: GroupSettings): void {
    const parameters = [...found].map(([name, gradient]) => {
      return { name, parameter: this.graph.inputs.get(name)!, gradient };
    });
    const { gradients, next, states } = this.optimizer.update(this.graph, parameters, settings);
    for (const [name, gradient] of gradients) this.gradients.set(name, gradient);
    for (const [name, value] of next) this.updates.set(name, value);
    this.states.push(...states);
  }

  /** The next value of a running statistic, and its average. */
  private advance(name: string, next: Value): void {
    this.updates.set(name, next);
    const average = this.optimizer.average(this.graph, name, next);
    if (!average) return;
    this.states.push(average.state);
    this.updates.set(average.state.name, average.next);
  }

  private targets(): Targets {
    let image: Value | undefined;
    return { label: this.label, image: () => (image ??= denormalised(this.image, this.recipe.data.normalize)) };
  }

  private named(value: Value, name: string): Value {
    if (!this.names.has(value)) this.names.set(value, name);
    return value;
  }
}

/** @throws InputError `MICRO_BATCH` where the batch is no multiple of the recipe's micro-batches, and greater */
function imagesAtOnce({ optimizer: { microBatch } }: Recipe, batch: number): number {
  const images = Math.min(microBatch ?? batch, batch);
  if (batch % images === 0) return images;
  throw new InputError(
    'MICRO_BATCH',
    `optimizer.microBatch: found ${images}, allowed: a divisor of the batch, ${batch}`,
  );
}

/** Back to pixel values in [0, 1]: x·std + mean, per channel (one entry stands for all channels). */
function denormalised(image: Value, normalize: Recipe['data']['normalize']): Value {
  const perChannel = (values: readonly number[]): Value => {
    const vector = image.graph.constant({ dtype: 'float32', shape: [values.length], data: Float32Array.from(values) });
    return reshape(vector, [1, values.length, 1, 1]);
  };
  return add(mul(image, perChannel(normalize.std)), perChannel(normalize.mean));
}
