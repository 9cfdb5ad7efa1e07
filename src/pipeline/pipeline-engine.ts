/** Trains by the asynchronous schedule in one process: modules grouped in stages that run side by side on one runtime. */
import { type Manifest, runsPerStep, type SharedGraphs } from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import type { NamedTensors } from '../files/tensor.js';
import { UpdateRule } from '../nn/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { runOneStep, type StageTimes, type StepReport, type StepRun, type TrainEngine } from './engine.js';
import { HostedModules } from './hosted-modules.js';
import { type LoadedGraph, LoadedGraphs } from './loaded-graphs.js';
import { inMicroSteps } from './micro-steps.js';
import { type Host, Orchestrator, type TraceEvent } from './orchestrator.js';
import { StageClock } from './stage-clock.js';
import { TaskRunner } from './task-runner.js';
import { trunkScores } from './trunk-scores.js';

export interface PipelineEngineOptions {
  /** Batches by which updates that wait for a relay are late, from 0. */
  readonly delay: number;
}

export class PipelineEngine implements TrainEngine {
  /** Is told of each task when it has run. */
  trace: ((event: TraceEvent) => void) | undefined;
  private clocks: readonly StageClock[];

  private constructor(
    private readonly host: Host,
    private readonly graphs: LoadedGraphs,
    private readonly evaluation: LoadedGraph,
    private readonly options: PipelineEngineOptions,
  ) {
    this.clocks = [new StageClock(host.hosted.modules.map(({ index }) => index))];
  }

  /** Loads the graphs, those of the schedule `sync`; all modules are one stage. The weights are undefined until `load`. */
  static async create(
    runtime: Runtime,
    { manifest, uses }: SharedGraphs,
    options: PipelineEngineOptions,
  ): Promise<PipelineEngine> {
    const hosted = new HostedModules(manifest);
    const entries = manifest.graphs.filter(({ phase }) => phase !== 'step');
    const graphs = await LoadedGraphs.load(runtime, uses, entries, ({ file }) => ({ name: file }));
    const host = {
      manifest,
      runtime,
      hosted,
      runner: new TaskRunner(runtime, manifest),
      optimizer: new UpdateRule(manifest.recipe.optimizer, runsPerStep(manifest)),
      graphs: graphs.byFile,
    };
    return new PipelineEngine(host, graphs, graphs.byFile.get(evaluationOf(manifest))!, options);
  }

  get delay(): number {
    return this.options.delay;
  }

  /** Groups the modules in stages, which run side by side from the next run on. @param stages indices, each module's once */
  arrange(stages: readonly (readonly number[])[]): void {
    this.clocks = stages.map((modules) => new StageClock(modules));
  }

  load(weights: NamedTensors, optimizer?: NamedTensors): void {
    this.host.runner.load(weights, optimizer);
  }

  async readWeights(): Promise<NamedTensors> {
    return this.host.runner.readWeights();
  }

  async readOptimizer(): Promise<NamedTensors> {
    return this.host.runner.readOptimizer();
  }

  async run(run: StepRun): Promise<void> {
    const { clocks, trace } = this;
    const runs = inMicroSteps(run, this.host.manifest);
    await new Orchestrator(this.host, runs, { ...this.options, clocks, trace }).finish();
  }

  async step(batch: Batch, learningRate: number, step: number, gradients = false): Promise<StepReport> {
    return runOneStep(this, { batch, learningRate }, step, gradients);
  }

  async evaluate(image: Batch['image']): Promise<Float32Array> {
    const { runtime, runner } = this.host;
    return trunkScores(runtime, this.evaluation, (name) => runner.evaluated(name), image);
  }

  takeTimes(): StageTimes[] {
    return this.clocks.map((clock) => clock.take());
  }

  dispose(): void {
    this.host.runner.dispose();
    this.graphs.dispose();
  }
}

const evaluationOf = ({ graphs }: Manifest): string => graphs.find(({ phase }) => phase === 'eval')!.file;
