/**
 * The graphs of a recipe for an engine. Those that differ only in names and numbers, as the tasks of equal modules do, share one model: that of the
 * first of them, with the numbers in which they differ as inputs. A deep network thus needs a tenth of the models.
 */
import { formOf, InPlaceProof, lower, type Lowering, type SliceForm } from '../lower/index.js';
import type { OnnxModel } from '../onnx/model.js';
import type { Recipe } from '../recipe/types.js';
import type { GraphSet } from './graphs.js';
import type { GraphEntry, Manifest } from './manifest.js';
import { lowerTask } from './lower-task.js';
import { type GraphOptions, planGraphs, type PlannedTask } from './plan.js';

/** How a graph is run by a model that may serve others too. */
export interface ModelUse {
  readonly model: OnnxModel;
  /** Names in the model of the graph's inputs and outputs, by the graph's own. */
  readonly names: ReadonlyMap<string, string>;
  /** The model's further inputs, float32 []: what they are in this graph. */
  readonly numbers: ReadonlyMap<string, number>;
}

export interface SharedGraphOptions extends GraphOptions {
  /** Indices of the modules whose graphs are wanted; the others are in the manifest only, as if nothing of theirs were updated in place. Default: all. */
  readonly modules?: ReadonlySet<number>;
}

export interface SharedGraphs {
  readonly manifest: Manifest;
  /** By the graph's file. */
  readonly uses: ReadonlyMap<string, ModelUse>;
}

/** @throws InputError where split or patches of the recipe do not fit its network */
export function buildSharedGraphs(recipe: Recipe, options: SharedGraphOptions): SharedGraphs {
  const { tasks, evaluation, manifest } = planGraphs(recipe, options);
  const alike = new Map<string, FormedTask[]>();
  const entries = new Map<PlannedTask['slice'], GraphEntry>();
  for (const task of tasks) {
    if (task.module !== null && options.modules?.has(task.module) === false) {
      entries.set(
        task.slice,
        task.describe(() => false),
      );
      continue;
    }
    const form = formOf(task.slice);
    const known = alike.get(form.key);
    if (known) known.push({ ...task, form });
    else alike.set(form.key, [{ ...task, form }]);
  }
  const uses = new Map<string, ModelUse>();
  for (const group of alike.values()) {
    for (const { slice, entry, use } of serve(group, options.lowering)) {
      entries.set(slice, entry);
      uses.set(entry.file, use);
    }
  }
  uses.set(evaluation.entry.file, ownUse(lower(evaluation.slice, options.lowering)));
  return { manifest: manifest(tasks.map(({ slice }) => entries.get(slice)!)), uses };
}

/** Graphs that share no models. */
export function unshared({ manifest, models }: GraphSet): SharedGraphs {
  return { manifest, uses: new Map([...models].map(([file, model]) => [file, ownUse(model)])) };
}

function ownUse(model: OnnxModel): ModelUse {
  const ports = [...model.graph.inputs, ...model.graph.outputs];
  return { model, names: new Map(ports.map(({ name }) => [name, name])), numbers: new Map() };
}

interface FormedTask extends PlannedTask {
  readonly form: SliceForm;
}

interface ServedTask extends Pick<PlannedTask, 'slice'> {
  readonly entry: GraphEntry;
  readonly use: ModelUse;
}

/** One model for tasks of one form. */
function serve(group: readonly FormedTask[], lowering: Lowering): ServedTask[] {
  const [first] = group as [FormedTask];
  const open = first.form.numbers.flatMap(({ value }, i) =>
    group.some(({ form }) => !Object.is(form.numbers[i]!.number, first.form.numbers[i]!.number))
      ? [{ name: `number/${i}`, value, index: i }]
      : [],
  );
  const model = lowerTask({ ...first.slice, inputs: [...first.slice.inputs, ...open] }, lowering);
  const proof = new InPlaceProof(model);
  return group.map(({ slice, form, describe }) => {
    const names = new Map<string, string>();
    form.inputs.forEach(({ name }, i) => names.set(name, first.form.inputs[i]!.name));
    slice.outputs.forEach(({ name }, i) => names.set(name, first.slice.outputs[i]!.name));
    const entry = describe((input, output) => proof.holds(names.get(input)!, names.get(output)!));
    const numbers = new Map(open.map(({ name, index }) => [name, form.numbers[index]!.number]));
    return { slice, entry, use: { model, names, numbers } };
  });
}
