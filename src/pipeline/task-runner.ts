/**
 * Runs graphs on the parameters, statistics and optimizer state of some modules, which it owns. They are updated in place where the graph proves it safe.
 * Elsewhere the next value is written into a spare tensor, and the one before becomes a spare: what a run allocates it should soon free, or its memory
 * falls to pieces.
 */
import { keptStates, type Manifest, type OutputPort, startOf } from '../artifacts/index.js';
import { RunError, UsageError } from '../errors.js';
import type { HostTensor, NamedTensors } from '../files/tensor.js';
import { averagePrefix } from '../nn/index.js';
import { othersTurn } from '../others-turn.js';
import type { DeviceTensor, Runtime } from '../runtime/runtime.js';
import type { LoadedGraph } from './loaded-graphs.js';
import { SpareTensors } from './spare-tensors.js';

/** How long reading the state holds up other work at a time, one tensor more or less. */
const SLICE_MILLISECONDS = 5;

export class TaskRunner {
  /** Parameters, statistics and optimizer state. */
  private readonly state = new Map<string, DeviceTensor>();
  private readonly spares: SpareTensors;
  private readonly parameters: Manifest['parameters'];
  private readonly states: Manifest['states'];

  /** @param modules whose state is held here; default all */
  constructor(
    private readonly runtime: Runtime,
    manifest: Manifest,
    modules?: ReadonlySet<number>,
  ) {
    this.spares = new SpareTensors(runtime);
    this.parameters = manifest.parameters.filter(({ module }) => modules?.has(module) ?? true);
    const held = new Set(this.parameters.map(({ name }) => name));
    this.states = manifest.states.filter(({ parameter }) => held.has(parameter));
  }

  /** Takes from all tensors those that are held here; without `optimizer` its state is that of a first step. @throws UsageError where one is missing */
  load(weights: NamedTensors, optimizer?: NamedTensors): void {
    for (const { name, shape } of this.parameters) this.place(name, required(weights, name, shape));
    for (const entry of this.states) {
      const { name, shape, transient } = entry;
      this.place(name, optimizer && !transient ? required(optimizer, name, shape) : startOf(entry, weights));
    }
  }

  /** Copies of parameters and statistics; no run may change them meanwhile. */
  async readWeights(): Promise<NamedTensors> {
    return this.readAll(this.parameters);
  }

  /** The same of the optimizer's state. */
  async readOptimizer(): Promise<NamedTensors> {
    return this.readAll(keptStates(this.states));
  }

  /** A parameter, statistic or optimizer state. */
  get(name: string): DeviceTensor | undefined {
    return this.state.get(name);
  }

  /** What a parameter or statistic is evaluated as: its moving average where there is one. */
  evaluated(name: string): DeviceTensor {
    return this.state.get(`${averagePrefix}${name}`) ?? this.state.get(name)!;
  }

  /**
   * @param find values that are not held here
   * @param wanted outputs to compute
   * @returns those that update nothing, now the caller's
   */
  async run(
    graph: LoadedGraph,
    find: (name: string) => DeviceTensor | undefined,
    wanted: readonly OutputPort[],
  ): Promise<Map<OutputPort, DeviceTensor>> {
    const { entry } = graph;
    const feeds = new Map<string, DeviceTensor>();
    for (const { name } of entry.inputs) {
      const tensor = find(name) ?? this.state.get(name);
      if (!tensor) throw new RunError('ENGINE_MISSING_VALUE', `${entry.file}: nothing has made its input '${name}'`);
      feeds.set(name, tensor);
    }
    const outputs = await this.runInto(graph, feeds, wanted);
    const made = new Map<OutputPort, DeviceTensor>();
    for (const port of wanted) {
      const tensor = outputs.get(port.name)!;
      if (port.updates !== undefined) this.replace(port.updates, tensor);
      else made.set(port, tensor);
    }
    return made;
  }

  dispose(): void {
    for (const tensor of this.state.values()) tensor.dispose();
    this.state.clear();
    this.spares.dispose();
  }

  /** Runs a graph with its updates written in place or into spares. */
  private async runInto(
    graph: LoadedGraph,
    feeds: ReadonlyMap<string, DeviceTensor>,
    wanted: readonly OutputPort[],
  ): Promise<Map<string, DeviceTensor>> {
    const into = new Map<string, DeviceTensor>();
    const taken: DeviceTensor[] = [];
    const spare = (shape: readonly number[]): DeviceTensor => {
      const tensor = this.spares.take(shape);
      taken.push(tensor);
      return tensor;
    };
    try {
      for (const { name, shape, updates, inPlace } of wanted) {
        if (updates === undefined) continue;
        into.set(name, inPlace ? this.state.get(updates)! : spare(shape as number[]));
      }
      return await graph.run(
        feeds,
        into,
        wanted.map(({ name }) => name),
      );
    } catch (error) {
      for (const tensor of taken) this.spares.give(tensor);
      throw error;
    }
  }

  private replace(name: string, tensor: DeviceTensor): void {
    const old = this.state.get(name);
    if (old === tensor) return;
    this.state.set(name, tensor);
    if (old) this.spares.give(old);
  }

  private place(name: string, tensor: HostTensor): void {
    const known = this.state.get(name);
    if (known) known.write(tensor);
    else this.state.set(name, this.runtime.upload(tensor));
  }

  /** In slices: a deep network has thousands of tensors, and whoever else waits for this thread shall not wait for all of them. */
  private async readAll(entries: readonly { readonly name: string }[]): Promise<NamedTensors> {
    const tensors: NamedTensors = new Map();
    let begun = performance.now();
    for (const { name } of entries) {
      tensors.set(name, this.state.get(name)!.read());
      if (performance.now() - begun < SLICE_MILLISECONDS) continue;
      await othersTurn();
      begun = performance.now();
    }
    return tensors;
  }
}

function required(tensors: NamedTensors, name: string, shape: readonly number[]): HostTensor {
  const tensor = tensors.get(name);
  if (!tensor) throw new UsageError('ENGINE_STATE', `state lacks '${name}' [${shape.join(', ')}]`);
  return tensor;
}
