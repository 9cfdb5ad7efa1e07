/**
 * The engine of ONNX Runtime's training API: a training session for each local module.
 *
 * A training session does forward and backward pass in one call. Without HiLo that is all a module needs: modules train one after another, each handing
 * on its output. With HiLo a module needs the relay of its neighbour above, which needs the module's output first. So all modules run forward, by
 * sessions of their own, and then train from the last to the first, each giving the relay that the next one takes; the forward pass is computed twice.
 */
import { keptStates, startOf } from '../artifacts/index.js';
import {
  checkpointOf,
  fromOrtCheckpoint,
  lossName,
  type ModuleArtifacts,
  type TrainingGraphs,
} from '../artifacts/ort-training/index.js';
import type { Batch } from '../data/dataset.js';
import { UsageError } from '../errors.js';
import type { HostTensor, NamedTensors } from '../files/tensor.js';
import { encodeModel } from '../onnx/encode.js';
import type { TrainingLibrary, TrainingSession } from '../runtime/ort-training/index.js';
import {
  runOneStep,
  type StageTimes,
  type StepInput,
  type StepReport,
  type StepRun,
  type TrainEngine,
} from './engine.js';
import type { Evaluator } from './evaluator.js';
import { requireBatch, totalLoss } from './step-findings.js';

/** Learning rate of a step, for sessions that follow a table. @param step 1-based */
export type RateOf = (step: number) => number;

export interface OrtTrainingParts {
  readonly library: TrainingLibrary;
  readonly graphs: TrainingGraphs;
  /** Scores images, by an ordinary session. */
  readonly evaluator: Evaluator;
  /** What the optimizer models hold; null where sessions are told their rates. */
  readonly rateOf: RateOf | null;
}

interface LoadedModule {
  readonly artifacts: ModuleArtifacts;
  readonly session: TrainingSession;
}

export class OrtTrainingEngine implements TrainEngine {
  readonly delay = 0;
  private modules: LoadedModule[] = [];
  /** Optimizer steps that the sessions have done. */
  private done = 0;
  private weights: NamedTensors = new Map();
  private optimizer: NamedTensors | null = null;
  /** Whether the sessions have trained since the state was read out of them. */
  private stale = false;

  constructor(private readonly parts: OrtTrainingParts) {}

  load(weights: NamedTensors, optimizer?: NamedTensors): void {
    this.weights = new Map(weights);
    this.optimizer = optimizer ?? null;
    this.stale = false;
    this.closing = this.close();
    this.parts.evaluator.load(this.weights);
  }

  /** The sessions of before are being released. */
  private closing: Promise<void> = Promise.resolve();

  async readWeights(): Promise<NamedTensors> {
    await this.refresh();
    return new Map(this.weights);
  }

  async readOptimizer(): Promise<NamedTensors> {
    await this.refresh();
    const states = keptStates(this.parts.graphs.manifest.states);
    return new Map(
      states.map((state) => [state.name, this.optimizer?.get(state.name) ?? startOf(state, this.weights)]),
    );
  }

  async run({ first, next, report, wantsGradients }: StepRun): Promise<void> {
    if (this.modules.length === 0) await this.open(first - 1);
    if (first !== this.done + 1) {
      throw new UsageError(
        'ENGINE_STEP',
        `step ${first} was asked for after ${this.done} steps: load the state of before`,
      );
    }
    for (let step = first; ; step++) {
      const input = await next();
      if (!input) break;
      const found = await this.runStep(input, step, wantsGradients?.(step) ?? false);
      await report?.(found, step);
    }
  }

  async step(batch: Batch, learningRate: number, step: number, gradients = false): Promise<StepReport> {
    return runOneStep(this, { batch, learningRate }, step, gradients);
  }

  async evaluate(image: Batch['image']): Promise<Float32Array> {
    await this.refresh();
    return this.parts.evaluator.evaluate(image);
  }

  takeTimes(): StageTimes[] {
    return [];
  }

  dispose(): void {
    this.closing = this.close();
    this.parts.evaluator.dispose();
    void this.closing.finally(() => this.parts.library.dispose());
  }

  /** Sessions that begin after `steps` optimizer steps. */
  private async open(steps: number): Promise<void> {
    await this.closing;
    const { library, graphs } = this.parts;
    const { recipe } = graphs.manifest;
    const tensors = { weights: this.weights, optimizer: this.optimizer, step: steps };
    for (const artifacts of graphs.modules) {
      const session = await library.createSession({
        name: `module ${artifacts.index}`,
        trainingModel: encodeModel(artifacts.training),
        evaluationModel: encodeModel(artifacts.evaluation),
        optimizerModel: encodeModel(artifacts.optimizer),
        forwardModel: artifacts.forward && encodeModel(artifacts.forward),
        probeModel: () => encodeModel(artifacts.probe()),
        checkpoint: checkpointOf(artifacts, tensors, recipe),
        tensors: [...artifacts.trainable, ...artifacts.kept],
      });
      this.modules.push({ artifacts, session });
    }
    this.done = steps;
  }

  private async close(): Promise<void> {
    const sessions = this.modules.map(({ session }) => session);
    this.modules = [];
    for (const session of sessions) await session.dispose();
  }

  private async runStep({ batch, learningRate }: StepInput, step: number, gradients: boolean): Promise<StepReport> {
    requireBatch(this.parts.graphs.manifest, batch);
    this.setRate(learningRate, step);
    const values: NamedTensors = new Map<string, HostTensor>([
      ['image', batch.image],
      ['label', batch.label],
    ]);
    const hilo = this.modules.some(({ artifacts }) => artifacts.forward !== null);
    if (hilo) await this.runForward(values);
    const found: NamedTensors = new Map();
    for (const { session, artifacts } of hilo ? [...this.modules].reverse() : this.modules) {
      for (const [name, tensor] of await session.trainStep(values)) {
        // Features and relays pass to other modules; each module has a total of its own.
        if (/^(?:feature|relay)\//.test(name)) values.set(name, tensor);
        else if (name !== lossName) found.set(name, tensor);
      }
      values.delete(`relay/${artifacts.index}`);
      await session.optimizerStep();
      await session.lazyResetGrad();
    }
    this.done = step;
    this.stale = true;
    return this.reportOf(found, gradients);
  }

  private async runForward(values: NamedTensors): Promise<void> {
    for (const { artifacts, session } of this.modules) {
      if (artifacts.forward) for (const [name, tensor] of await session.forward(values)) values.set(name, tensor);
    }
  }

  private setRate(rate: number, step: number): void {
    const { rateOf } = this.parts;
    if (!rateOf) {
      for (const { session } of this.modules) session.setLearningRate!(rate);
      return;
    }
    const held = rateOf(step);
    if (Math.fround(held) === Math.fround(rate)) return;
    throw new UsageError(
      'ENGINE_RATE',
      `step ${step}: learning rate ${rate} was asked for, the optimizer models have ${held}`,
    );
  }

  private reportOf(found: NamedTensors, gradients: boolean): StepReport {
    const losses = new Map<string, number>();
    const given: NamedTensors = new Map();
    for (const [name, tensor] of found) {
      if (name.startsWith('loss/')) losses.set(name.slice('loss/'.length), Number(tensor.data[0]));
      else if (gradients && name.startsWith('grad/')) given.set(name.slice('grad/'.length), tensor);
    }
    return { losses, total: totalLoss(this.parts.graphs.manifest, losses), gradients: given };
  }

  /** Reads the state out of the sessions, unless that is done. */
  private async refresh(): Promise<void> {
    if (!this.stale) return;
    const weights: NamedTensors = new Map();
    const optimizer: NamedTensors = new Map();
    for (const { session, artifacts } of this.modules) {
      const checkpoint = (await session.readCheckpoint?.()) ?? (await checkpointFrom(session, artifacts));
      const found = fromOrtCheckpoint(checkpoint, artifacts, `module ${artifacts.index}`);
      for (const [name, tensor] of found.weights) weights.set(name, tensor);
      for (const [name, tensor] of found.optimizer) optimizer.set(name, tensor);
    }
    // In the order in which they were loaded.
    this.weights = new Map([...this.weights.keys()].map((name) => [name, weights.get(name)!]));
    this.optimizer = optimizer;
    this.stale = false;
    this.parts.evaluator.load(this.weights);
  }
}

/** What a session can tell that writes no checkpoint. */
async function checkpointFrom(
  session: TrainingSession,
  { trainable, kept }: ModuleArtifacts,
): Promise<Parameters<typeof fromOrtCheckpoint>[0]> {
  const all = await session.readTensors();
  const take = (specs: ModuleArtifacts['kept']): NamedTensors =>
    new Map(specs.map(({ name }) => [name, all.get(name)!]));
  return { trainable: take(trainable), frozen: take(kept), optimizer: null, properties: new Map() };
}
