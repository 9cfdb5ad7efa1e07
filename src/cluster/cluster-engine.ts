/**
 * The coordinator's engine: stages of the pipeline on workers, batches from here, losses and state back. It holds no part of the network while it trains.
 *
 * A run of steps ends with the state of every stage here, for a checkpoint. When a worker is lost, a run rejects with `LostError`; after `recover` and `load`
 * of the last checkpoint training goes on under the next generation, with the bits of a training that was not disturbed.
 */
import { float32, type HostTensor, type NamedTensors } from '../files/tensor.js';
import { RunError } from '../errors.js';
import { printable } from '../files/printable.js';
import { averagedWeights, keptStates, type Manifest, startOf } from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import {
  type Evaluator,
  inMicroSteps,
  runOneStep,
  type StageTimes,
  type StepReport,
  type StepRun,
  type TraceEvent,
  type TrainEngine,
} from '../pipeline/index.js';
import { toJson } from '../recipe/index.js';
import type { ClusterConnection } from './connection.js';
import { announce, hear, type Listener, request } from './control.js';
import { EdgeReader } from './edge-reader.js';
import { EdgeWriter } from './edge-writer.js';
import {
  assignmentOf,
  downEdge,
  failureOf,
  type Hello,
  presenceOf,
  SIGN_MILLISECONDS,
  STATE,
  upEdge,
} from './protocol.js';
import { ReportMerger } from './report-merger.js';
import { encodeRate } from './step-rate.js';
import { createStageEdges } from './stage-edges.js';
import { deleteEdges } from './streams.js';
import { decodeTasks } from './task-times.js';
import type { Encoding } from './tensor-message.js';
import { sleep } from './waiting.js';
import { clockAhead } from './worker-clock.js';
import { LostError, type Workforce } from './workforce.js';

export interface ClusterPlan {
  /** Name of the run on the server. */
  readonly run: string;
  readonly manifest: Manifest;
  readonly recipeHash: string;
  readonly code: string;
  readonly lowering: { readonly name: string; readonly block: number | null };
  readonly delay: number;
  readonly encoding: Encoding;
  /** Workers asked for; undefined: those that are there. */
  readonly workers: number | undefined;
  /** Indices of the modules of each of so many stages. */
  readonly arrange: (stages: number) => Promise<number[][]>;
  readonly evaluator: Evaluator;
  readonly note: (line: string) => void;
  /** Is told of each task of the workers, some time after it has run. */
  readonly trace?: (event: TraceEvent) => void;
}

interface Stage {
  readonly index: number;
  readonly modules: readonly number[];
  readonly worker: Hello;
  readonly down: EdgeWriter;
  readonly up: EdgeReader;
  /** Milliseconds by which its worker's clock is ahead; known where tasks are traced. */
  readonly ahead: number;
  /** Names of the losses in its reports, in order. */
  readonly losses: readonly string[];
  times: { busy: number; waiting: number; transfer: number };
  /** Whether the worker has said that it has the stage: its last word may be from before. */
  confirmed: boolean;
}

/** Loading graphs on a slow machine takes a while. */
const ASSIGN_MILLISECONDS = 300_000;
/** How long the run waits for as many workers as before after one was lost. */
const RECOVERY_MILLISECONDS = 15_000;
/** How long a server is asked to remove the streams when the training is over; the next training removes what stays. */
const CLOSE_MILLISECONDS = 5_000;

export class ClusterEngine implements TrainEngine {
  private generation = Date.now();
  private stages: readonly Stage[] = [];
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
      await Promise.race([failed, this.runStages(inMicroSteps(run, this.plan.manifest), stop.signal)]);
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
    const { generation } = this;
    await createStageEdges(this.connection, { run, generation }, workers.length, this.plan, signal);
    this.announcePresence();
    await Promise.all(workers.map(async (worker, stage) => this.assignOne(worker, stage, arranged, signal)));
    this.stages = await Promise.all(
      workers.map(async (worker, index) => this.openStage(worker, index, arranged[index]!)),
    );
    this.sent = false;
    const places = this.stages.map(({ modules, worker }) => {
      return `modules ${modules[0]}-${modules.at(-1)} on ${printable(worker.place)}`;
    });
    note(`stages: ${places.join('; ')}`);
  }

  private async assignOne(worker: Hello, stage: number, arranged: number[][], signal?: AbortSignal): Promise<void> {
    const { run, manifest, recipeHash, code, lowering, delay, encoding } = this.plan;
    const stages = arranged.length;
    const { generation } = this;
    const modules = arranged[stage]!;
    const recipe = JSON.parse(toJson(manifest.recipe)) as unknown;
    const common = {
      run,
      generation,
      code,
      recipe,
      recipeHash,
      stages,
      lowering,
      delay,
      encoding,
      trace: this.plan.trace !== undefined,
    };
    const lost = new AbortController();
    const look = setInterval(() => {
      if (this.workforce.find(worker.worker)) return;
      const what = this.workforce.hasLeft(worker.worker) ? 'has left' : 'is lost';
      lost.abort(new LostError(`${printable(worker.place)} ${what}`));
    }, SIGN_MILLISECONDS);
    try {
      await request(
        this.connection,
        assignmentOf(worker.worker),
        { ...common, stage, modules },
        {
          whom: worker.place,
          timeout: ASSIGN_MILLISECONDS,
          signal: AbortSignal.any([lost.signal, ...(signal ? [signal] : [])]),
        },
      );
    } finally {
      clearInterval(look);
    }
  }

  private async openStage(worker: Hello, index: number, modules: readonly number[]): Promise<Stage> {
    const { run, manifest } = this.plan;
    const { generation } = this;
    const hosted = new Set(modules);
    const made = new Set(
      manifest.graphs
        .filter(({ module }) => module !== null && hosted.has(module))
        .flatMap(({ outputs }) => outputs.map(({ name }) => name)),
    );
    return {
      index,
      modules,
      worker,
      down: await EdgeWriter.open(this.connection, { run, generation, edge: downEdge(index) }),
      up: await EdgeReader.open(this.connection, { run, generation, edge: upEdge(index) }),
      ahead: this.plan.trace ? await clockAhead(this.connection, worker) : 0,
      losses: manifest.losses.map(({ name }) => name).filter((name) => made.has(`loss/${name}`)),
      times: { busy: 0, waiting: 0, transfer: 0 },
      confirmed: false,
    };
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
      const hasLeft = this.workforce.hasLeft(stage.worker.worker);
      const what = hasLeft ? 'has left' : hello ? 'has given up its stage' : 'is lost';
      return this.lost(new LostError(`worker ${printable(stage.worker.place)} ${what}`));
    }
  }

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

  private async runStages(run: StepRun, signal: AbortSignal): Promise<void> {
    const merger = new ReportMerger(this.plan.manifest, run, this.stages.length);
    await Promise.all([
      this.feed(run, merger, signal),
      ...this.stages.map(async (stage) => this.collect(stage, merger, run.first, signal)),
    ]);
    this.sent = true;
  }

  /** Gives the stages their state where they have not got it, and the batches, a few ahead of the reports. */
  private async feed(run: StepRun, merger: ReportMerger, signal: AbortSignal): Promise<void> {
    const toAll = async (step: number, values: (stage: Stage) => Iterable<readonly [string, HostTensor]>) => {
      await Promise.all(
        this.stages.map(async (stage) => {
          for (const [name, tensor] of values(stage)) await stage.down.send({ name, step, tensor }, signal);
        }),
      );
    };
    const { first } = run;
    if (!this.sent) await toAll(first - 1, (stage) => this.stateOf(stage));
    const nothing = float32([0], []);
    await toAll(first, () => [['run', nothing]]);
    const ahead = 2 * this.stages.length * (this.plan.delay + 1) + 2;
    for (let step = first; ; step++) {
      await merger.reported(step - ahead, signal);
      const input = await run.next();
      signal.throwIfAborted();
      if (!input) return toAll(step, () => [['end', nothing]]);
      const { image, label } = input.batch;
      const rate = encodeRate(input.learningRate);
      await toAll(step, () => [
        ['image', image],
        ['label', label],
        ['rate', rate],
      ]);
    }
  }

  /** Takes what comes from a stage until its state is here. */
  private async collect(stage: Stage, merger: ReportMerger, first: number, signal: AbortSignal): Promise<void> {
    let reported = first - 1;
    for (;;) {
      const value = await stage.up.next(signal);
      if (!value) throw new LostError('the stage was given up');
      const { name, step, tensor } = value;
      value.done();
      if (name === 'saved' && step === reported) return;
      if (name === 'report') {
        await this.takeReport(stage, merger, step, tensor);
        reported = step;
      } else if (name === 'tasks') {
        for (const event of decodeTasks(tensor, stage.index, stage.ahead)) this.plan.trace?.(event);
      } else if (name.startsWith(STATE)) {
        this.state.set(name.slice(STATE.length), tensor);
        this.evaluable = false;
      } else {
        throw new LostError(`${printable(stage.worker.place)} sent ${printable(name)} of step ${step} out of turn`);
      }
    }
  }

  /** Losses, then the stage's seconds. */
  private async takeReport(stage: Stage, merger: ReportMerger, step: number, tensor: HostTensor): Promise<void> {
    const { losses, times, worker } = stage;
    const numbers = tensor.data;
    if (!(numbers instanceof Float32Array) || numbers.length !== losses.length + 3) {
      throw new LostError(`${printable(worker.place)} sent a report of step ${step} that does not fit its stage`);
    }
    const [busy, waiting, transfer] = numbers.subarray(losses.length) as unknown as [number, number, number];
    times.busy += busy;
    times.waiting += waiting;
    times.transfer += transfer;
    await merger.add(
      step,
      losses.map((loss, i) => [loss, numbers[i]!] as const),
    );
  }

  private *stateOf({ modules }: Stage): Generator<readonly [string, HostTensor]> {
    const { parameters, states } = this.plan.manifest;
    const held = new Set(parameters.filter(({ module }) => modules.includes(module)).map(({ name }) => name));
    const names = [...held, ...keptStates(states).flatMap(({ name, parameter }) => (held.has(parameter) ? name : []))];
    for (const name of names) yield [`${STATE}${name}`, this.state.get(name)!];
  }
}

/** Failures that another attempt may not meet. */
const isOfCluster = (code: string): boolean => /^(CLUSTER|CONTROL|STAGE)_|^WORKER_BUSY$/.test(code);

/** The same of what is thrown here, where what the server or its settings do not allow is an InputError or UsageError, and stays. */
const mayPass = (error: unknown): error is RunError => error instanceof RunError && isOfCluster(error.code);
