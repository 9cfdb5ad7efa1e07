/**
 * Runs training steps from a set of graphs, one task after another: the schedules `fused` (one graph) and `sync` (one set of
 * graphs per module, all modules on the same batch).
 *
 * Values between tasks stay in the runtime's memory and are freed at their last use, which the manifest tells.
 */
import {
  type GraphSet,
  lastUses,
  type Manifest,
  runsPerStep,
  type SharedGraphs,
  stepGraphs,
  unshared,
} from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import { UsageError } from '../errors.js';
import { float32, type NamedTensors } from '../files/tensor.js';
import { type StepScalar, UpdateRule } from '../nn/index.js';
import type { DeviceTensor, Runtime } from '../runtime/runtime.js';
import {
  runOneStep,
  type StageTimes,
  type StepReport,
  type StepRun,
  type TaskProfile,
  type TrainEngine,
} from './engine.js';
import { type LoadedGraph, LoadedGraphs } from './loaded-graphs.js';
import { inMicroSteps } from './micro-steps.js';
import { requireBatch, StepFindings } from './step-findings.js';
import { TaskRunner } from './task-runner.js';
import { trunkScores } from './trunk-scores.js';

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

export class StepEngine implements TrainEngine {
  readonly delay = 0;
  private readonly runner: TaskRunner;
  private readonly optimizer: UpdateRule;

  private constructor(
    private readonly runtime: Runtime,
    private readonly manifest: Manifest,
    private readonly graphs: LoadedGraphs,
    private readonly tasks: readonly LoadedTask[],
    private readonly evaluation: LoadedGraph,
  ) {
    this.optimizer = new UpdateRule(manifest.recipe.optimizer, runsPerStep(manifest));
    this.runner = new TaskRunner(runtime, manifest);
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
    this.runner.load(weights, optimizer);
  }

  async readWeights(): Promise<NamedTensors> {
    return this.runner.readWeights();
  }

  async readOptimizer(): Promise<NamedTensors> {
    return this.runner.readOptimizer();
  }

  async run(run: StepRun): Promise<void> {
    const { first, next, report, wantsGradients } = inMicroSteps(run, this.manifest);
    for (let step = first; ; step++) {
      const input = await next();
      if (!input) return;
      const scalars = this.optimizer.scalarValues(input.learningRate, step);
      const found = await this.runStep(input.batch, scalars, wantsGradients?.(step) ?? false);
      await report?.(found, step);
    }
  }

  async step(batch: Batch, learningRate: number, step: number, gradients = false): Promise<StepReport> {
    return runOneStep(this, { batch, learningRate }, step, gradients);
  }

  async evaluate(image: Batch['image']): Promise<Float32Array> {
    return trunkScores(this.runtime, this.evaluation, (name) => this.runner.evaluated(name), image);
  }

  takeTimes(): StageTimes[] {
    return [];
  }

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
    this.runner.dispose();
    this.graphs.dispose();
  }

  private async runStep(
    batch: Batch,
    scalars: ReadonlyMap<StepScalar, number>,
    withGradients: boolean,
  ): Promise<StepReport> {
    requireBatch(this.manifest, batch);
    const values = new Map<string, DeviceTensor>();
    const findings = new StepFindings();
    try {
      values.set('image', this.runtime.upload(batch.image));
      values.set('label', this.runtime.upload(batch.label));
      for (const [name, value] of scalars) values.set(name, this.runtime.upload(float32([], [value])));
      for (const task of this.tasks) {
        await this.runTask(task, values, withGradients, findings);
      }
    } finally {
      for (const tensor of values.values()) tensor.dispose();
    }
    return findings.report(this.manifest);
  }

  /** Runs one task on the values at hand and files its outputs. */
  private async runTask(
    { graph, lastUses }: LoadedTask,
    values: Map<string, DeviceTensor>,
    gradients: boolean,
    findings: StepFindings,
  ): Promise<void> {
    const wanted = graph.entry.outputs.filter(({ meaning }) => gradients || meaning !== 'gradient');
    const made = await this.runner.run(graph, (name) => values.get(name), wanted);
    // All at once, so that whatever fails from here on, none is lost.
    for (const [{ name }, tensor] of made) values.set(name, tensor);
    for (const [port, tensor] of made) if (findings.take(port, tensor)) values.delete(port.name);
    for (const name of lastUses) {
      values.get(name)?.dispose();
      values.delete(name);
    }
  }
}
