/** From a recipe to ONNX models and their manifest. */
import type { Value } from '../graph/index.js';
import { buildStep, sectionOf, type StepGraph, type Task } from '../local/index.js';
import { cut, type GraphSlice, InPlaceProof, lower, type Lowering, type NamedValue } from '../lower/index.js';
import { createTrunk, inferenceGraph } from '../networks/index.js';
import type { OnnxModel, OnnxValueInfo } from '../onnx/model.js';
import type { Recipe } from '../recipe/types.js';
import { formatVersion, type GraphEntry, type Manifest, type Meaning, type OutputPort, type Port } from './manifest.js';
import { version } from '../version.js';

export interface GraphOptions {
  /** Images per step; default: the recipe's. */
  readonly batch?: number;
  readonly lowering: Lowering;
  /** Which graphs: those of the modules, the fused step, or both. */
  readonly schedules: readonly ('sync' | 'fused')[];
  /** Also output the gradient of every parameter. */
  readonly gradients?: boolean;
}

/** A manifest and the model of each of its graphs, by file. */
export interface GraphSet {
  readonly manifest: Manifest;
  readonly models: ReadonlyMap<string, OnnxModel>;
}

/** @throws InputError where split or patches of the recipe do not fit its network */
export function buildGraphs(recipe: Recipe, options: GraphOptions): GraphSet {
  const { lowering } = options;
  const batch = options.batch ?? recipe.data.batch;
  const step = buildStep(recipe, batch);
  const namer = new StepNamer(step, options.gradients ?? false);
  const tasks: (Task | null)[] = [
    ...(options.schedules.includes('sync') ? step.tasks : []),
    ...(options.schedules.includes('fused') ? [null] : []),
  ];
  const models = new Map<string, OnnxModel>();
  const graphs: GraphEntry[] = [];
  for (const task of tasks) {
    const model = lower(namer.slice(task), lowering);
    const entry = namer.describe(task, model);
    models.set(entry.file, model);
    graphs.push(entry);
  }
  const evaluation = evalGraph(recipe, lowering);
  models.set(evaluation.entry.file, evaluation.model);
  graphs.push(evaluation.entry);
  const moduleOf = owners(step);
  return {
    models,
    manifest: {
      formatVersion,
      producer: `hpff ${version}`,
      recipe,
      lowering: lowering.name,
      onnxRuntime: lowering.onnxRuntime,
      batch,
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
      graphs,
    },
  };
}

/** File of a task's graph, e.g. `modules/03/update.onnx`. */
const fileOf = (task: Task | null): string =>
  task ? `modules/${String(task.module).padStart(2, '0')}/${task.phase}.onnx` : 'step.onnx';

/** Which module a parameter or statistic belongs to. */
function owners(step: StepGraph): (name: string) => number {
  const byPart = new Map(step.modules.flatMap(({ index, parts }) => parts.map((part) => [part, index] as const)));
  return (name) => {
    const head = /^heads\.(\d+)\./.exec(name);
    if (head) return Number(head[1]);
    const part = [...byPart.keys()].find((candidate) => name.startsWith(`${candidate}.`));
    return byPart.get(part!)!;
  };
}

/** Names what enters and leaves the tasks of a step, and says what it means. */
class StepNamer {
  private readonly outputsBySection = new Map<string, NamedValue[]>();
  private readonly meanings = new Map<string, Meaning>();
  private readonly updatesByOutput = new Map<string, string>();

  constructor(
    private readonly step: StepGraph,
    gradients: boolean,
  ) {
    this.nameInputs();
    this.nameCrossings();
    for (const [target, value] of step.updates) {
      this.updatesByOutput.set(`next/${target}`, target);
      this.addOutput(`next/${target}`, value, this.meanings.get(target)!);
    }
    for (const { name, value } of step.losses) this.addOutput(`loss/${name}`, value, 'loss');
    if (gradients) for (const [name, value] of step.gradients) this.addOutput(`grad/${name}`, value, 'gradient');
  }

  slice(task: Task | null): GraphSlice {
    if (!task) {
      const all = [...this.outputsBySection.values()].flat().filter(({ internal }) => !internal);
      return cut(this.step.graph.name, all, () => true, this.crossingName);
    }
    const section = sectionOf(task);
    const outputs = this.outputsBySection.get(section) ?? [];
    return cut(section, outputs, (node) => node.section === section, this.crossingName);
  }

  describe(task: Task | null, model: OnnxModel): GraphEntry {
    const port = (info: OnnxValueInfo): Port => ({
      name: info.name,
      dtype: info.dtype as Port['dtype'],
      shape: info.shape as Port['shape'],
      meaning: this.meanings.get(info.name)!,
    });
    const inputs = model.graph.inputs.map(port);
    const present = new Set(inputs.map(({ name }) => name));
    const proof = new InPlaceProof(model);
    const outputs = model.graph.outputs.map((info): OutputPort => {
      const updates = this.updatesByOutput.get(info.name);
      if (updates === undefined) return port(info);
      return { ...port(info), updates, inPlace: present.has(updates) && proof.holds(updates, info.name) };
    });
    return { file: fileOf(task), module: task?.module ?? null, phase: task?.phase ?? 'step', inputs, outputs };
  }

  private nameInputs(): void {
    const statistics = new Set(this.step.parameters.filter(({ kind }) => kind === 'statistic').map(({ name }) => name));
    const states = new Set(this.step.states.map(({ name }) => name));
    const scalars = new Set<string>(this.step.optimizer.scalars);
    for (const name of this.step.graph.inputs.keys()) {
      const meaning = ((): Meaning => {
        if (name === 'image' || name === 'label') return name;
        if (scalars.has(name)) return 'scalar';
        if (statistics.has(name)) return 'statistic';
        return states.has(name) ? 'optimizer-state' : 'parameter';
      })();
      this.meanings.set(name, meaning);
    }
  }

  /** Values that one task makes and another reads. */
  private nameCrossings(): void {
    const seen = new Set<Value>();
    for (const node of this.step.graph.nodes) {
      for (const value of node.inputs) {
        const { producer } = value;
        if (!producer || producer.section === node.section || seen.has(value)) continue;
        seen.add(value);
        const name = this.crossingName(value);
        this.addOutput(name, value, crossingMeaning(name), true);
      }
    }
  }

  private readonly crossingName = (value: Value): string => {
    const given = this.step.names.get(value);
    if (given !== undefined) return given;
    const { scope, op } = value.producer!;
    return `stash/${scope}/${op}_${value.id}`;
  };

  /** @param internal it only passes from task to task */
  private addOutput(name: string, value: Value, meaning: Meaning, internal = false): void {
    const { section } = value.producer!;
    this.meanings.set(name, meaning);
    const known = this.outputsBySection.get(section);
    const output = { name, value, internal };
    if (known) known.push(output);
    else this.outputsBySection.set(section, [output]);
  }
}

function crossingMeaning(name: string): Meaning {
  const [kind] = name.split('/');
  if (kind === 'feature' || kind === 'relay' || kind === 'logits') return kind;
  return kind === 'cotangent' || kind === 'cascade' ? 'cotangent' : 'stash';
}

/** The trunk in inference mode, its parameters as inputs. */
function evalGraph(recipe: Recipe, lowering: Lowering): { model: OnnxModel; entry: GraphEntry } {
  const { graph, logits, parameters } = inferenceGraph(createTrunk(recipe.network));
  const slice = cut(
    graph.name,
    [{ name: 'logits', value: logits }],
    () => true,
    (value) => value.toString(),
  );
  const model = lower(slice, lowering);
  const kinds = new Map<string, Meaning>(parameters.map(({ name, kind }) => [name, kind]));
  return {
    model,
    entry: {
      file: 'eval.onnx',
      module: null,
      phase: 'eval',
      inputs: slice.inputs.map(({ name, value }) => ({
        name,
        dtype: value.dtype,
        shape: value.shape,
        meaning: kinds.get(name) ?? 'image',
      })),
      outputs: [{ name: 'logits', dtype: 'float32', shape: logits.shape, meaning: 'logits' }],
    },
  };
}
