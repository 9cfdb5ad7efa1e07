/**
 * Carries out the schedule of the asynchronous pipeline: the tasks of each module in their order, as soon as what they read is there. Modules are grouped
 * in stages; a stage runs one task at a time, of those that can run that of the earliest step (then that which a synchronous step has first, so one stage
 * with delay 0 goes through a step as `sync` does). Stages run side by side; one whose modules have nothing to run takes a task of another's, as modules
 * seldom divide evenly. Who runs a task, and which goes first, changes no result: modules share nothing but what passes.
 */
import type { Manifest, OutputPort } from '../artifacts/index.js';
import { SpareBuffers } from '../files/spare-buffers.js';
import { float32, type HostTensor } from '../files/tensor.js';
import type { Phase } from '../local/index.js';
import type { UpdateRule } from '../nn/index.js';
import type { DeviceTensor, Runtime } from '../runtime/runtime.js';
import type { StepInput, StepRun } from './engine.js';
import type { HostedModule, HostedModules, HostedTask } from './hosted-modules.js';
import type { LoadedGraph } from './loaded-graphs.js';
import { PassingValues } from './passing-values.js';
import { delayOf, roundTasks, type ScheduledTask } from './schedule.js';
import type { StageClock } from './stage-clock.js';
import { requireBatch, StepFindings } from './step-findings.js';
import type { TaskRunner } from './task-runner.js';

/** What a task took; times in milliseconds of `performance.now()`. */
export interface TraceEvent {
  readonly stage: number;
  readonly module: number;
  readonly phase: Phase;
  readonly step: number;
  readonly begin: number;
  readonly end: number;
}

/** What the process that hosts modules has for them. */
export interface Host {
  readonly manifest: Manifest;
  readonly runtime: Runtime;
  readonly runner: TaskRunner;
  readonly optimizer: Pick<UpdateRule, 'scalarValues'>;
  readonly hosted: HostedModules;
  /** By their files. */
  readonly graphs: ReadonlyMap<string, LoadedGraph>;
}

export interface OrchestratorOptions {
  readonly delay: number;
  /** Is told, once, that the run has failed. */
  readonly failed?: (error: unknown) => void;
  /** A clock for each stage; each hosted module is in one of them. */
  readonly clocks: readonly StageClock[];
  readonly trace?: (event: TraceEvent) => void;
  /**
   * Takes values that modules elsewhere read; resolves when there is room for the next of that name, and the tensor's memory is not read any more. `signal`:
   * the run has failed.
   */
  readonly send?: (name: string, step: number, tensor: HostTensor, signal: AbortSignal) => Promise<void>;
}

/** Batches ahead of the first module's forward pass that are loaded. */
const BATCHES_AHEAD = 1;

/**
 * Steps that a stage may be in at once: that of its last module, which waits for a relay, and those that it can do meanwhile. A stage that is faster than its
 * neighbour would otherwise get ahead by one in each of its modules, gain nothing by it, and keep the activations of all of them.
 */
export const stepsAtOnce = (delay: number): number => Math.max(2, delay + 1);

/** A module on its way through its schedule. */
interface Progress {
  readonly module: HostedModule;
  round: number;
  /** Of the next task in the round. */
  index: number;
  /** Last step that was forwarded, and last that was updated. */
  forwarded: number;
  updated: number;
  /** Values on their way to modules elsewhere. */
  sending: number;
  /** Whether one of its tasks runs. */
  running: boolean;
}

interface Stage {
  readonly index: number;
  /** In order. */
  readonly modules: readonly Progress[];
  readonly clock: StageClock;
}

interface Choice {
  /** Whose module it is. */
  readonly stage: Stage;
  readonly progress: Progress;
  readonly scheduled: ScheduledTask;
  readonly task: HostedTask;
}

/** The earlier step first, then the order of a synchronous step. */
const isBefore = (a: Choice, b: Choice): boolean =>
  a.scheduled.step < b.scheduled.step || (a.scheduled.step === b.scheduled.step && a.task.place < b.task.place);

/** Carries out one run of steps. */
export class Orchestrator {
  private readonly values = new PassingValues();
  private readonly progress: ReadonlyMap<number, Progress>;
  private readonly stages: readonly Stage[];
  private readonly findings = new Map<number, StepFindings>();
  /** Last step whose batch is here, and the last of all, as far as it is known. */
  private admitted: number;
  private last = Infinity;
  private reported: number;
  private reports: Promise<void> = Promise.resolve();
  private readonly sends = new Set<Promise<void>>();
  /** For values that are being sent. */
  private readonly buffers = new SpareBuffers();
  private readonly failing = new AbortController();
  private failure: { readonly error: unknown } | undefined;
  private wakeUp: () => void = () => undefined;
  private change!: Promise<void>;

  constructor(
    private readonly host: Host,
    private readonly run: StepRun,
    private readonly options: OrchestratorOptions,
  ) {
    this.admitted = this.reported = run.first - 1;
    this.progress = new Map(
      host.hosted.modules.map((module) => {
        const done = { forwarded: run.first - 1, updated: run.first - 1 };
        return [module.index, { module, round: run.first, index: 0, ...done, sending: 0, running: false }];
      }),
    );
    this.stages = options.clocks.map((clock, index) => {
      return { index, clock, modules: clock.modules.map((module) => this.progress.get(module)!) };
    });
    this.expectChange();
  }

  /** Runs until every module has made its last update. Rejects with the first error, after all that ran has ended. */
  async finish(): Promise<void> {
    const source = this.admitAll().catch((error: unknown) => this.fail(error));
    await Promise.all(this.stages.map(async (stage) => this.runStage(stage).catch((error) => this.fail(error))));
    // The source may be waiting for a batch that nobody needs any more.
    if (!this.failure) await source;
    await Promise.all(this.sends);
    await this.reports;
    this.values.dispose();
    if (this.failure) throw this.failure.error;
  }

  /** A value that modules elsewhere have made; it is copied. @param released called when it is needed no more */
  receive(name: string, step: number, tensor: HostTensor, released?: () => void): void {
    if (this.failure) return;
    const { hosted, runtime } = this.host;
    this.values.put(name, step, runtime.upload(tensor), hosted.readersOf(name), released);
    this.changed();
  }

  /**
   * Waits until the modules here that read a value are near enough to its step: a module that waits for no relays would run away from them otherwise.
   * Resolves at once when the run has failed.
   */
  async untilNear(name: string, step: number): Promise<void> {
    const { hosted } = this.host;
    const readers = hosted.modules.filter(({ tasks }) => [...tasks.values()].some(({ reads }) => reads.includes(name)));
    const room = this.options.delay + 1;
    const isFar = ({ index }: HostedModule): boolean => this.progress.get(index)!.forwarded < step - room;
    while (!this.failure && readers.some(isFar)) await this.change;
  }

  /** Ends the run with an error. */
  fail(error: unknown): void {
    if (this.failure) return;
    this.failure = { error };
    this.failing.abort();
    this.changed();
    this.options.failed?.(error);
  }

  private async admitAll(): Promise<void> {
    const [first] = this.host.hosted.modules;
    const { forwarded } = this.progress.get(first!.index)!;
    for (let step = forwarded + 1; ; step++) {
      while (step > this.progress.get(first!.index)!.forwarded + BATCHES_AHEAD) {
        if (this.failure) return;
        await this.change;
      }
      const input = await this.run.next();
      if (this.failure) return;
      if (!input) {
        this.last = step - 1;
        return this.changed();
      }
      this.admit(step, input);
    }
  }

  private admit(step: number, { batch, learningRate }: StepInput): void {
    const { manifest, runtime, optimizer, hosted } = this.host;
    requireBatch(manifest, batch);
    const put = (name: string, tensor: HostTensor): void => {
      if (hosted.readersOf(name) > 0) this.values.put(name, step, runtime.upload(tensor), hosted.readersOf(name));
    };
    put('image', batch.image);
    put('label', batch.label);
    for (const [name, value] of optimizer.scalarValues(learningRate, step)) put(name, float32([], [value]));
    this.findings.set(step, new StepFindings());
    this.admitted = step;
    this.changed();
  }

  private async runStage(stage: Stage): Promise<void> {
    let idleSince: number | undefined;
    while (!this.failure) {
      const choice = this.choose([stage]) ?? this.choose(this.stages);
      if (choice) {
        const begin = performance.now();
        stage.clock.add({ waiting: begin - (idleSince ?? begin) });
        idleSince = undefined;
        await this.execute(stage, choice, begin);
      } else if (this.isOver) {
        return;
      } else {
        idleSince ??= performance.now();
        await this.change;
      }
    }
  }

  /** Whether every module here is through. */
  private get isOver(): boolean {
    return [...this.progress.values()].every((progress) => this.next(progress) === undefined);
  }

  /** What can be run now of the modules of some stages. */
  private choose(stages: readonly Stage[]): Choice | undefined {
    let best: Choice | undefined;
    for (const stage of stages) {
      for (const progress of stage.modules) {
        const scheduled = progress.running ? undefined : this.next(progress);
        if (!scheduled) continue;
        const task = progress.module.tasks.get(scheduled.phase)!;
        const choice = { stage, progress, scheduled, task };
        if ((!best || isBefore(choice, best)) && this.isReady(choice)) best = choice;
      }
    }
    return best;
  }

  /** The module's next task; undefined when it is through. */
  private next(progress: Progress): ScheduledTask | undefined {
    const { shape } = progress.module;
    const { delay } = this.options;
    const range = { first: this.run.first, last: this.last };
    while (progress.round <= this.last + delayOf(shape, delay)) {
      const task = roundTasks(shape, delay, range, progress.round)[progress.index];
      if (task) return task;
      progress.round++;
      progress.index = 0;
    }
    return undefined;
  }

  private isReady({ stage, progress: { module, sending }, scheduled: { phase, step }, task }: Choice): boolean {
    if (step > this.admitted) return false;
    if (phase === 'forward') {
      if (stage.modules.at(-1)!.updated < step - stepsAtOnce(this.options.delay)) return false;
      // A module without relays would run away from its neighbour: it may be as far ahead as relays would let it.
      const room = this.options.delay + 1;
      const above = this.progress.get(module.index + 1);
      if ((above && above.forwarded < step - room) || sending >= room) return false;
    }
    return task.reads.every((name) => this.values.has(name, step));
  }

  private async execute(stage: Stage, { progress, scheduled, task }: Choice, begin: number): Promise<void> {
    const { runner, graphs } = this.host;
    const { phase, step } = scheduled;
    const gradients = this.run.wantsGradients?.(step) ?? false;
    const wanted = task.entry.outputs.filter(({ meaning }) => gradients || meaning !== 'gradient');
    const graph = graphs.get(task.entry.file)!;
    progress.running = true;
    const outputs = await runner.run(graph, (name) => this.values.get(name, step), wanted);
    for (const [port, tensor] of outputs) this.file(stage, progress, step, port, tensor);
    for (const name of task.reads) this.values.release(name, step);
    progress.index++;
    progress.running = false;
    if (phase === 'forward') progress.forwarded = step;
    if (phase === 'update') progress.updated = step;
    const end = performance.now();
    stage.clock.add({ busy: end - begin });
    this.options.trace?.({ stage: stage.index, module: progress.module.index, phase, step, begin, end });
    this.reportFinished();
    this.changed();
  }

  /** Puts an output where it belongs. */
  private file(stage: Stage, progress: Progress, step: number, port: OutputPort, tensor: DeviceTensor): void {
    if (this.findings.get(step)!.take(port, tensor)) return;
    const { hosted } = this.host;
    if (hosted.isReadElsewhere(port.name)) this.sendOff(stage, progress, port.name, step, tensor);
    this.values.put(port.name, step, tensor, hosted.readersOf(port.name));
  }

  /** Sends a copy of a float32 tensor. */
  private sendOff(stage: Stage, progress: Progress, name: string, step: number, tensor: DeviceTensor): void {
    const begin = performance.now();
    const copy = float32(tensor.shape, new Float32Array(this.buffers.take(tensor.byteLength)));
    tensor.readInto(copy);
    progress.sending++;
    const sent = this.options.send!(name, step, copy, this.failing.signal)
      .then(() => this.buffers.give(copy.data.buffer as ArrayBuffer))
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        progress.sending--;
        stage.clock.add({ transfer: performance.now() - begin });
        this.sends.delete(sent);
        this.changed();
      });
    this.sends.add(sent);
  }

  /** Reports the steps that all modules here are through with. */
  private reportFinished(): void {
    const done = Math.min(...[...this.progress.values()].map(({ updated }) => updated));
    while (this.reported < done) {
      const step = ++this.reported;
      const findings = this.findings.get(step)!;
      this.findings.delete(step);
      this.reports = this.reports
        .then(async () => {
          if (!this.failure) await this.run.report?.(findings.report(this.host.manifest), step);
        })
        .catch((error: unknown) => this.fail(error));
    }
  }

  private changed(): void {
    const { wakeUp } = this;
    this.expectChange();
    wakeUp();
  }

  private expectChange(): void {
    this.change = new Promise((resolve) => (this.wakeUp = resolve));
  }
}
