/**
 * Runs training steps from a set of graphs, one task after another: the schedules `fused` (one graph) and `sync` (one set of
 * graphs per module, all modules on the same batch).
 *
 * Values between tasks stay in the runtime's memory and are freed at their last use, which the manifest tells. Parameters and
 * optimizer state are updated in place where the graph proves it safe. Elsewhere the next value is written into a spare tensor, and the one before
 * becomes a spare: what a run allocates it should soon free, or its memory falls to pieces.
 */
import {
  type GraphEntry,
  type GraphSet,
  lastUses,
  type Manifest,
  type OutputPort,
  type SharedGraphs,
  stepGraphs,
  unshared,
} from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import { RunError, UsageError } from '../errors.js';
import { elementCount, float32, type HostTensor, type NamedTensors } from '../files/tensor.js';
import type { Optimizer, StepScalar } from '../nn/index.js';
import { createOptimizer } from '../nn/index.js';
import type { DeviceTensor, RunProfile, Runtime } from '../runtime/runtime.js';
import type { StepReport, TrainEngine } from './engine.js';
import { type LoadedGraph, LoadedGraphs } from './loaded-graphs.js';
import { SpareTensors } from './spare-tensors.js';

/** A task of the step, and what dies after it. */
interface LoadedTask {
  readonly graph: LoadedGraph;
  /** Values between tasks that no later task reads. */
  readonly lastUses: readonly string[];
}

export interface StepEngineOptions {
  readonly schedule: 'fused' | 'sync';
  /** An existing folder, to measure every node of the tasks until `endProfile`; only for graphs that share no models. */
  readonly profileFolder?: string;
}

/** What the runs of one task took. */
export interface TaskProfile {
  readonly task: GraphEntry;
  /** Of each step since the graphs were loaded. */
  readonly runs: readonly RunProfile[];
}

export class StepEngine implements TrainEngine {
  /** Parameters, statistics and optimizer state. */
  private readonly state = new Map<string, DeviceTensor>();
  private readonly optimizer: Optimizer;
  private readonly spares: SpareTensors;

  private constructor(
    private readonly runtime: Runtime,
    private readonly manifest: Manifest,
    private readonly graphs: LoadedGraphs,
    private readonly tasks: readonly LoadedTask[],
    private readonly evaluation: LoadedGraph,
  ) {
    this.optimizer = createOptimizer(manifest.recipe.optimizer);
    this.spares = new SpareTensors(runtime);
  }

  /** Loads the graphs. The weights are undefined until `load`. */
  static async create(
    runtime: Runtime,
    graphs: GraphSet | SharedGraphs,
    { schedule, profileFolder }: StepEngineOptions,
  ): Promise<StepEngine> {
    const { manifest, uses } = 'uses' in graphs ? graphs : unshared(graphs);
    const chosen = stepGraphs(manifest, schedule);
    const evaluation = manifest.graphs.find(({ phase }) => phase === 'eval');
    if (chosen.length === 0 || !evaluation) {
      throw new UsageError('ENGINE_NO_GRAPHS', `the graphs given do not serve the schedule '${schedule}'`);
    }
    const loaded = await LoadedGraphs.load(runtime, uses, [...chosen, evaluation], ({ file, phase }) => ({
      name: file,
      ...(profileFolder === undefined || phase === 'eval' ? {} : { profileFolder }),
    }));
    const deaths = lastUses(chosen);
    const tasks = chosen.map((_, i) => ({ graph: loaded.graphs[i]!, lastUses: deaths[i]! }));
    return new StepEngine(runtime, manifest, loaded, tasks, loaded.graphs.at(-1)!);
  }

  load(weights: NamedTensors, optimizer?: NamedTensors): void {
    const { parameters, states } = this.manifest;
    for (const { name, shape } of parameters) this.place(name, required(weights, name, shape));
    for (const { name, shape } of states) {
      this.place(
        name,
        optimizer ? required(optimizer, name, shape) : float32(shape, new Float32Array(elementCount(shape))),
      );
    }
  }

  readWeights(): NamedTensors {
    return this.readAll(this.manifest.parameters);
  }

  readOptimizer(): NamedTensors {
    return this.readAll(this.manifest.states);
  }

  async step(batch: Batch, learningRate: number, step: number): Promise<StepReport> {
    return (await this.run(batch, learningRate, step, false)).report;
  }

  /**
   * A step that also returns the gradient of every parameter; the graphs must have been built with them.
   *
   * @param wanted false: return none after all, and compute none that the step does not need
   */
  async stepWithGradients(
    batch: Batch,
    learningRate: number,
    step: number,
    wanted = true,
  ): Promise<{ report: StepReport; gradients: NamedTensors }> {
    return this.run(batch, learningRate, step, wanted);
  }

  async evaluate(image: Batch['image']): Promise<Float32Array> {
    const { entry } = this.evaluation;
    const input = this.runtime.upload(image);
    try {
      const feeds = new Map(entry.inputs.map(({ name }) => [name, name === 'image' ? input : this.state.get(name)!]));
      const outputs = await this.evaluation.run(feeds, new Map(), ['logits']);
      return takeFloats(outputs.get('logits')!);
    } finally {
      input.dispose();
    }
  }

  /**
   * Ends measuring nodes. @returns every task, in the order of a step
   * @throws UsageError where the engine does not measure them, or its runtime cannot
   */
  async endProfile(): Promise<TaskProfile[]> {
    const profiles: TaskProfile[] = [];
    for (const { graph } of this.tasks) {
      const { entry, session } = graph;
      if (!session.endProfile) {
        throw new UsageError(
          'ENGINE_NO_PROFILE',
          `device '${this.runtime.device}' cannot measure the nodes of a graph`,
        );
      }
      profiles.push({ task: entry, runs: await session.endProfile() });
    }
    return profiles;
  }

  dispose(): void {
    for (const tensor of this.state.values()) tensor.dispose();
    this.state.clear();
    this.spares.dispose();
    this.graphs.dispose();
  }

  private async run(
    batch: Batch,
    learningRate: number,
    step: number,
    gradients: boolean,
  ): Promise<{ report: StepReport; gradients: NamedTensors }> {
    const values = this.upload(batch, this.optimizer.scalarValues(learningRate, step));
    const losses = new Map<string, number>();
    const found: NamedTensors = new Map();
    try {
      for (const task of this.tasks) {
        await this.runTask(task, values, gradients, (port, tensor) => {
          const host = tensor.read();
          tensor.dispose();
          if (port.meaning === 'loss') losses.set(port.name.slice('loss/'.length), Number(host.data[0]));
          else found.set(port.name.slice('grad/'.length), host);
        });
      }
    } finally {
      for (const tensor of values.values()) tensor.dispose();
    }
    return { report: this.report(losses), gradients: found };
  }

  private upload(batch: Batch, scalars: ReadonlyMap<StepScalar, number>): Map<string, DeviceTensor> {
    const expected = this.manifest.batch;
    if (batch.image.shape[0] !== expected) {
      throw new UsageError('ENGINE_BATCH', `batch has ${batch.image.shape[0]} images, the graphs take ${expected}`);
    }
    const values = new Map<string, DeviceTensor>();
    values.set('image', this.runtime.upload(batch.image));
    values.set('label', this.runtime.upload(batch.label));
    for (const [name, value] of scalars) values.set(name, this.runtime.upload(float32([], [value])));
    return values;
  }

  /** Runs one task on the values at hand and files its outputs. */
  private async runTask(
    { graph, lastUses }: LoadedTask,
    values: Map<string, DeviceTensor>,
    gradients: boolean,
    report: (port: OutputPort, tensor: DeviceTensor) => void,
  ): Promise<void> {
    const { entry } = graph;
    const feeds = new Map<string, DeviceTensor>();
    for (const { name } of entry.inputs) {
      const tensor = values.get(name) ?? this.state.get(name);
      if (!tensor) throw new RunError('ENGINE_MISSING_VALUE', `${entry.file}: nothing has made its input '${name}'`);
      feeds.set(name, tensor);
    }
    const wanted = entry.outputs.filter(({ meaning }) => gradients || meaning !== 'gradient');
    const outputs = await this.runInto(graph, feeds, wanted);
    for (const port of wanted) {
      const tensor = outputs.get(port.name)!;
      if (port.updates !== undefined) this.replace(port.updates, tensor);
      else if (port.meaning === 'loss' || port.meaning === 'gradient') report(port, tensor);
      else values.set(port.name, tensor);
    }
    for (const name of lastUses) {
      values.get(name)?.dispose();
      values.delete(name);
    }
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

  private report(losses: ReadonlyMap<string, number>): StepReport {
    let total = 0;
    for (const { name, weight } of this.manifest.losses) total += weight * losses.get(name)!;
    return { losses, total };
  }

  private readAll(entries: readonly { readonly name: string }[]): NamedTensors {
    return new Map(entries.map(({ name }) => [name, this.state.get(name)!.read()]));
  }
}

function required(tensors: NamedTensors, name: string, shape: readonly number[]): HostTensor {
  const tensor = tensors.get(name);
  if (!tensor) throw new UsageError('ENGINE_STATE', `state lacks '${name}' [${shape.join(', ')}]`);
  return tensor;
}

function takeFloats(tensor: DeviceTensor): Float32Array {
  const { data } = tensor.read();
  tensor.dispose();
  return data as Float32Array;
}
