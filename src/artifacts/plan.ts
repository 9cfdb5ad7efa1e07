/** What the graphs of a recipe are before they are lowered: the slices of its step, and what the manifest tells besides. */
import { buildStep, type StepGraph, type Task } from '../local/index.js';
import type { GraphSlice, Lowering } from '../lower/index.js';
import type { Recipe } from '../recipe/types.js';
import { version } from '../version.js';
import { evalGraph } from './eval-graph.js';
import { formatVersion, type GraphEntry, type Manifest } from './manifest.js';
import { StepNamer } from './step-namer.js';

export interface GraphOptions {
  /** Images per step; default: the recipe's. */
  readonly batch?: number;
  readonly lowering: Lowering;
  /** Which graphs: those of the modules, the fused step, or both. */
  readonly schedules: readonly ('sync' | 'fused')[];
  /** Also output the gradient of every parameter. */
  readonly gradients?: boolean;
}

export interface GraphPlan {
  readonly tasks: readonly PlannedTask[];
  readonly evaluation: { readonly slice: GraphSlice; readonly entry: GraphEntry };
  /** From the entries of the planned tasks. */
  readonly manifest: (tasks: readonly GraphEntry[]) => Manifest;
}

export interface PlannedTask {
  /** Its module; null for the whole step. */
  readonly module: number | null;
  readonly slice: GraphSlice;
  /** Given whether an output may be written over an input, by name. */
  readonly describe: (inPlace: (input: string, output: string) => boolean) => GraphEntry;
}

/** @throws InputError where split or patches of the recipe do not fit its network */
export function planGraphs(recipe: Recipe, options: GraphOptions): GraphPlan {
  const batch = options.batch ?? recipe.data.batch;
  const step = buildStep(recipe, batch);
  const namer = new StepNamer(step, options.gradients ?? false);
  const tasks: (Task | null)[] = [
    ...(options.schedules.includes('sync') ? step.tasks : []),
    ...(options.schedules.includes('fused') ? [null] : []),
  ];
  const evaluation = evalGraph(recipe);
  return {
    tasks: tasks.map((task) => {
      const slice = namer.slice(task);
      return { module: task?.module ?? null, slice, describe: (inPlace) => namer.describe(task, slice, inPlace) };
    }),
    evaluation,
    manifest: (entries) => ({
      formatVersion,
      producer: `hpff ${version}`,
      recipe,
      lowering: options.lowering.name,
      onnxRuntime: options.lowering.onnxRuntime,
      batch,
      ...(step.runs === 1 ? {} : { microBatch: step.images }),
      ...contents(step),
      graphs: [...entries, evaluation.entry],
    }),
  };
}

/** What a step is made of. */
export function contents(step: StepGraph): Pick<Manifest, 'scalars' | 'modules' | 'parameters' | 'states' | 'losses'> {
  const moduleOf = owners(step);
  return {
    scalars: step.optimizer.scalars,
    modules: step.modules.map(({ index, parts, parameters, headParameters }) => ({
      index,
      blocks: parts,
      parameters,
      headParameters,
    })),
    parameters: step.parameters.map(({ name, shape, kind }) => ({ name, shape, kind, module: moduleOf(name) })),
    states: step.states,
    losses: step.losses.map(({ name, weight }) => ({ name, weight })),
  };
}

/** Which module a parameter or statistic belongs to. */
function owners(step: StepGraph): (name: string) => number {
  const byPart = new Map(step.modules.flatMap(({ index, parts }) => parts.map((part) => [part, index] as const)));
  return (name) => {
    const head = /^heads\.(\d+)\./.exec(name);
    if (head) return Number(head[1]);
    // The part is the name without its last places, e.g. `layer1.0` of `layer1.0.bn1.weight`.
    let part = name;
    while (!byPart.has(part)) part = part.slice(0, part.lastIndexOf('.'));
    return byPart.get(part)!;
  };
}
