/** Cuts the step into the slices of its tasks, names what enters and leaves them, and says what it means. */
import type { Value } from '../graph/index.js';
import { sectionOf, type StepGraph, type Task } from '../local/index.js';
import { cut, type GraphSlice, type NamedValue } from '../lower/index.js';
import type { GraphEntry, Meaning, OutputPort, Port } from './manifest.js';

export class StepNamer {
  private readonly outputsBySection = new Map<string, NamedValue[]>();
  private readonly meanings = new Map<string, Meaning>();
  private readonly updatesByOutput = new Map<string, string>();

  /** @param gradients whether the gradient of every parameter is an output */
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

  /** @param task null: the whole step */
  slice(task: Task | null): GraphSlice {
    if (!task) {
      const all = [...this.outputsBySection.values()].flat().filter(({ internal }) => !internal);
      return cut(this.step.graph.name, all, () => true, this.crossingName);
    }
    const section = sectionOf(task);
    const outputs = this.outputsBySection.get(section) ?? [];
    return cut(section, outputs, (node) => node.section === section, this.crossingName);
  }

  /** @param inPlace whether an output may be written over an input, by name */
  describe(
    task: Task | null,
    { inputs, outputs }: GraphSlice,
    inPlace: (input: string, output: string) => boolean,
  ): GraphEntry {
    const port = ({ name, value: { dtype, shape } }: NamedValue): Port => {
      return { name, dtype, shape, meaning: this.meanings.get(name)! };
    };
    const present = new Set(inputs.map(({ name }) => name));
    return {
      file: fileOf(task),
      module: task?.module ?? null,
      phase: task?.phase ?? 'step',
      inputs: inputs.map(port),
      outputs: outputs.map((output): OutputPort => {
        const updates = this.updatesByOutput.get(output.name);
        if (updates === undefined) return port(output);
        return { ...port(output), updates, inPlace: present.has(updates) && inPlace(updates, output.name) };
      }),
    };
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

/** File of a task's graph, e.g. `modules/03/update.onnx`. */
const fileOf = (task: Task | null): string =>
  task ? `modules/${String(task.module).padStart(2, '0')}/${task.phase}.onnx` : 'step.onnx';
