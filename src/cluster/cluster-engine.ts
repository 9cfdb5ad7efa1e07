/**
 * The coordinator's engine: stages of the pipeline on workers, batches from here, losses and state back. It holds no part of the network while it trains.
 *
 * A run of steps ends with the state of every stage here, for a checkpoint. When a worker is lost, a run rejects with `LostError`; after `recover` and `load`
 * of the last checkpoint training goes on under the next generation, with the bits of a training that was not disturbed.
 */
import type { HostTensor, NamedTensors } from '../files/tensor.js';
import { RunError } from '../errors.js';
import { printable } from '../files/printable.js';
import { averagedWeights, keptStates, startOf } from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import {
  inMicroSteps,
  runOneStep,
  type StageTimes,
  type StepReport,
  type StepRun,
  type TrainEngine,
} from '../pipeline/index.js';
import type { ClusterPlan } from './cluster-plan.js';
import type { ClusterConnection } from './connection.js';
import { announce, hear, type Listener } from './control.js';
import { failureOf, presenceOf, SIGN_MILLISECONDS } from './protocol.js';
import { createStageEdges } from './stage-edges.js';
import { giveStage, openStage, type StageOnWorker } from './stage-on-worker.js';
import { runOnStages } from './stage-traffic.js';
import { deleteEdges } from './streams.js';
import { sleep } from './waiting.js';
import { LostError, type Workforce } from './workforce.js';

/** How long the run waits for as many workers as before after one was lost. */
const RECOVERY_MILLISECONDS = 15_000;
/** How long a server is asked to remove the streams when the training is over; the next training removes what stays. */
const CLOSE_MILLISECONDS = 5_000;

export class ClusterEngine implements TrainEngine {
  private generation = Date.now();
  private stages: readonly StageOnWorker[] = [];
  private state: NamedTensors = new Map();
  /** Whether the workers have the state. */
  private sent = false;
  /** Whether the evaluator has it. */
  private evaluable = false;
  private lost: (error: unknown) => void = () => undefined;
  /** Asks the training to stop. */
  private signal: AbortSignal | undefined;
  private readonly sign: NodeJS.Timeout;
  private readonly listener: Listener;

  constructor(
    private readonly connection: ClusterConnection,
    private readonly workforce: Workforce,
    private readonly plan: ClusterPlan,
  ) {
    this.sign = setInterval(() => this.lookAfter(), SIGN_MILLISECONDS);
    const heard = failureOf(plan.run);
    this.listener = hear(connection, heard, ({ worker, generation, code, message }) => {
      if (generation !== this.generation) return;
      const reason = `${this.placeOf(worker)}: ${message}`;
      this.lost(isOfCluster(code) ? new LostError(reason) : new RunError(code, reason));
    });
  }

  get delay(): number {
    return this.plan.delay;
  }

  /** Finds workers and gives them their stages, until that succeeds. @throws RunError with the reason of a worker that refuses; the signal's reason */
  async begin(signal?: AbortSignal): Promise<void> {
    this.signal = signal;
    const { workers, manifest, note } = this.plan;
    const most = manifest.modules.length;
    if (workers !== undefined && workers > most) note(`${workers} workers asked for: ${most} modules take ${most}`);
    await this.assign(this.plan.workers, Infinity, signal);
  }

  /** The same after a loss, on the workers that are left where no others come. */
  async recover(signal?: AbortSignal): Promise<void> {
    const before = this.stages.length;
    await this.endStages();
    this.generation++;
    const wanted = this.plan.workers ?? before;
    this.plan.note(`looking for ${wanted} workers, for ${RECOVERY_MILLISECONDS / 1000} s; then fewer will do`);
    await this.assign(wanted, RECOVERY_MILLISECONDS, signal);
  }

  load(weights: NamedTensors, optimizer?: NamedTensors): void {
    const states = keptStates(this.plan.manifest.states).map(
      (entry) => [entry.name, optimizer?.get(entry.name) ?? startOf(entry, weights)] as const,
    );
    this.state = new Map([...weights, ...states]);
    this.sent = this.evaluable = false;
  }

  async readWeights(): Promise<NamedTensors> {
    return this.pick(this.plan.manifest.parameters);
  }

  async readOptimizer(): Promise<NamedTensors> {
    return this.pick(keptStates(this.plan.manifest.states));
  }

  async run(run: StepRun): Promise<void> {
    const failed = new Promise<never>((_, reject) => (this.lost = reject));
    failed.catch(() => undefined); // raced below
    const stop = new AbortController();
    try {
      const state = { sends: !this.sent, tensors: this.state, set: this.keep };
      const steps = inMicroSteps(run, this.plan.manifest);
      await Promise.race([failed, runOnStages(this.plan, this.stages, state, steps, stop.signal)]);
      this.sent = true;
    } catch (error) {
      throw mayPass(error) ? new LostError(error.message) : error;
    } finally {
      this.lost = () => undefined;
      stop.abort();
    }
  }

  async step(batch: Batch, learningRate: number, step: number): Promise<StepReport> {
    return runOneStep(this, { batch, learningRate }, step);
  }

  async evaluate(image: Batch['image']): Promise<Float32Array> {
    const { evaluator } = this.plan;
    if (!this.evaluable) evaluator.load(averagedWeights(await this.readWeights(), await this.readOptimizer()));
    this.evaluable = true;
    return evaluator.evaluate(image);
  }

  takeTimes(): StageTimes[] {
    return this.stages.map((stage) => {
      const { busy, waiting, transfer } = stage.times;
      stage.times = { busy: 0, waiting: 0, transfer: 0 };
      return { modules: stage.modules, busySeconds: busy, waitingSeconds: waiting, transferSeconds: transfer };
    });
  }

  dispose(): void {
    clearInterval(this.sign);
    this.listener.close();
  }

  /** Lets the workers go and removes the streams. */
  async close(): Promise<void> {
    this.dispose();
    announce(this.connection, presenceOf(this.plan.run), { generation: null });
    await this.endStages(AbortSignal.timeout(CLOSE_MILLISECONDS));
  }

  /** Until workers have taken their stages. */
  private async assign(wanted: number | undefined, patience: number, signal?: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await this.tryToAssign(wanted, patience, signal);
      } catch (error) {
        if (!mayPass(error)) throw error;
        this.plan.note(`stages could not be given out: ${error.message}; trying again`);
      }
      await this.endStages();
      await sleep(SIGN_MILLISECONDS, signal);
      this.generation++;
    }
  }

  private async tryToAssign(wanted: number | undefined, patience: number, signal?: AbortSignal): Promise<void> {
    const { run, manifest, note } = this.plan;
    const most = manifest.modules.length;
    const asked = wanted === undefined ? undefined : Math.min(wanted, most);
    const workers = (await this.workforce.gather(run, asked, patience, signal)).slice(0, most);
    await deleteEdges(this.connection, run, undefined, signal);
    const arranged = await this.plan.arrange(workers.length);
    const { generation, connection, workforce, plan } = this;
    await createStageEdges(connection, { run, generation }, workers.length, plan, signal);
    this.announcePresence();
    const attempt = { connection, workforce, plan, generation };
    await Promise.all(workers.map(async (worker, stage) => giveStage(attempt, worker, stage, arranged, signal)));
    this.stages = await Promise.all(
      workers.map(async (worker, index) => openStage(attempt, worker, index, arranged[index]!)),
    );
    this.sent = false;
    const places = this.stages.map(({ modules, worker }) => {
      return `modules ${modules[0]}-${modules.at(-1)} on ${printable(worker.place)}`;
    });
    note(`stages: ${places.join('; ')}`);
  }

  private async endStages(signal?: AbortSignal): Promise<void> {
    const { stages } = this;
    this.stages = [];
    for (const { down, up } of stages) await Promise.all([down.close(), up.close()]);
    await deleteEdges(this.connection, this.plan.run, undefined, signal);
  }

  /** Tells the workers that the run goes on, and looks whether they are still there. */
  private lookAfter(): void {
    // The step that is to be finished first may need a server that never comes back.
    if (this.signal?.aborted && this.connection.untilCut.aborted) return this.lost(this.signal.reason);
    this.announcePresence();
    for (const stage of this.stages) {
      const hello = this.workforce.find(stage.worker.worker);
      const { run, generation } = hello?.session ?? {};
      const has = run === this.plan.run && generation === this.generation;
      stage.confirmed ||= has;
      if (has || (hello && !stage.confirmed)) continue;
      const gaveUp = `worker ${printable(stage.worker.place)} has given up its stage`;
      return this.lost(new LostError(this.workforce.fateOf(stage.worker) ?? gaveUp));
    }
  }

  /** Takes a tensor of the state from the stage that has it. */
  private readonly keep = (name: string, tensor: HostTensor): void => {
    this.state.set(name, tensor);
    this.evaluable = false;
  };

  private announcePresence(): void {
    announce(this.connection, presenceOf(this.plan.run), { generation: this.generation });
  }

  private placeOf(worker: string): string {
    const stage = this.stages.find((each) => each.worker.worker === worker);
    return printable(stage?.worker.place ?? worker);
  }

  private pick(entries: readonly { readonly name: string }[]): NamedTensors {
    return new Map(entries.map(({ name }) => [name, this.state.get(name)!]));
  }
}

/** Failures that another attempt may not meet. */
const isOfCluster = (code: string): boolean => /^(CLUSTER|CONTROL|STAGE)_|^WORKER_BUSY$/.test(code);

/** The same of what is thrown here, where what the server or its settings do not allow is an InputError or UsageError, and stays. */
const mayPass = (error: unknown): error is RunError => error instanceof RunError && isOfCluster(error.code);
