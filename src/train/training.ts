/** The training loop: batches through an engine, with evaluation, metrics and checkpoints on the way. */
import { RunError } from '../errors.js';
import type { BatchSource } from '../data/batches.js';
import { type PlacedBatch, prefetch } from '../data/prefetch.js';
import { printable } from '../files/printable.js';
import type { NamedTensors } from '../files/tensor.js';
import { othersTurn } from '../others-turn.js';
import { type OpenEngine, residentMemory, type StepReport } from '../pipeline/index.js';
import { recipeHash } from '../recipe/hash.js';
import type { Recipe } from '../recipe/index.js';
import { version } from '../version.js';
import { CheckpointWriter } from './checkpoint.js';
import type { CheckpointState, RunState } from './checkpoint-state.js';
import { evaluate } from './evaluate.js';
import type { DoneEvent, EvaluationEvent, MetricsEvent, TrainEvent, TrainListener, WorkSpan } from './events.js';
import { requireFiniteEvaluation, requireFiniteLosses, requireFiniteTensors, type Whereabouts } from './finite.js';
import { learningRate } from './learning-rate.js';
import { LossMeter } from './meter.js';
import type { Pace, TrainOptions } from './options.js';
import { RunRecorder } from './recorder.js';
import { createRun } from './run-folder.js';
import type { Attempt } from './recovery.js';
import type { RunLock } from './run-lock.js';
import { addSession, type Session, thisMachine } from './sessions.js';
import { totalSteps } from './total-steps.js';
import type { TrainingData } from './training-data.js';

/** How a training ended. */
export type TrainResult = Omit<DoneEvent, 'event'>;

/** One training from its first step here to its last; the engine holds its starting state. */
export class Training {
  private readonly recipe: Recipe;
  private readonly folder: string;
  private readonly totalSteps: number;
  private readonly stepsPerEpoch: number;
  private readonly checkpoints: CheckpointWriter;
  private readonly meter: LossMeter;
  private step: number;
  /** Of the steps, those that were left out. */
  private skipped: number;
  private evaluation: CheckpointState['evaluation'];
  private recorder!: RunRecorder;

  constructor(
    private readonly attempt: Attempt,
    private readonly data: TrainingData,
    private readonly open: OpenEngine,
    private readonly computed: CheckpointState['computed'],
    private readonly pace: Pace,
    private readonly options: TrainOptions,
    private readonly listener: TrainListener,
    private readonly lock: RunLock,
  ) {
    const { recipe, run } = attempt.beginning;
    const state = run?.checkpoint.state;
    this.recipe = recipe;
    this.folder = options.folder;
    this.stepsPerEpoch = data.train.batchesPerEpoch;
    this.totalSteps = totalSteps(recipe, this.stepsPerEpoch, options.steps);
    this.checkpoints = new CheckpointWriter(this.folder, pace.keepCheckpoints, run?.checkpoint);
    this.meter = new LossMeter(state?.openGroup);
    this.step = state?.step ?? 0;
    this.skipped = state?.skipped ?? 0;
    this.evaluation = state?.evaluation ?? null;
  }

  async run(): Promise<TrainResult> {
    this.stopIfAsked();
    await this.prepareFolder();
    if (this.attempt.isFirst) await addSession(this.folder, this.session());
    this.recorder = await RunRecorder.open(this.folder, {
      step: this.step,
      evaluatedStep: this.evaluation?.step ?? -1,
    });
    try {
      this.tell(this.startEvent());
      // A run may have been stopped between an epoch's last step and its evaluation.
      if (this.step > 0 && this.step % this.stepsPerEpoch === 0 && !this.evaluated) await this.endEpoch();
      await this.trainSteps();
      return await this.finish();
    } finally {
      await this.recorder.close();
    }
  }

  private async prepareFolder(): Promise<void> {
    if (this.attempt.beginning.run) return this.checkpoints.tidy();
    const tensors = await this.tensors();
    await createRun(this.folder, this.recipe, this.lock, async (folder) => {
      const writer = new CheckpointWriter(folder, this.pace.keepCheckpoints);
      await writer.write(this.state(), () => tensors);
    });
  }

  private async trainSteps(): Promise<void> {
    const { step, stepsPerEpoch } = this;
    if (step >= this.totalSteps) return;
    const { epochs: endEpoch } = this.recipe.schedule;
    const range = { epoch: Math.floor(step / stepsPerEpoch), index: step % stepsPerEpoch, endEpoch };
    const batches = prefetch(this.data.train, range);
    try {
      while (this.step < this.totalSteps) {
        if (this.attempt.leftOut.has(this.step + 1)) await this.leaveOut(batches);
        else await this.runTo(this.nextPause(), batches);
        await this.afterRun();
      }
    } finally {
      await batches.return();
    }
  }

  /** The step after which something is due that needs all modules to be through with it. */
  private nextPause(): number {
    const { step, stepsPerEpoch, totalSteps } = this;
    const after = (every: number): number => (Math.floor(step / every) + 1) * every;
    const leftOut = [...this.attempt.leftOut].filter((each) => each > step).map((each) => each - 1);
    return Math.min(totalSteps, after(stepsPerEpoch), after(this.pace.checkpointEvery), ...leftOut);
  }

  /** Passes over a step and its images. */
  private async leaveOut(batches: AsyncGenerator<PlacedBatch, void>): Promise<void> {
    await batches.next();
    this.step++;
    this.skipped++;
    const { step, epoch } = this;
    await this.record({ event: 'skipped', step, epoch });
    if (step % this.stepsPerEpoch === 0 && !this.meter.empty) await this.recordGroup();
  }

  /** Trains up to and with `pause`, or to where it is asked to stop. */
  private async runTo(pause: number, batches: AsyncGenerator<PlacedBatch, void>): Promise<void> {
    let given = this.step;
    let begun = performance.now();
    await this.open.engine.run({
      // Of the updates: moments and averages do not age by steps that are left out.
      first: given + 1 - this.skipped,
      next: async () => {
        if (given >= pause || this.options.signal?.aborted) return undefined;
        const asked = performance.now();
        const { epoch, batch } = (await batches.next()).value!;
        this.meter.addWaiting((performance.now() - asked) / 1000);
        given++;
        return { batch, learningRate: learningRate(this.recipe, epoch + 1) };
      },
      report: async (report) => {
        this.step++;
        requireFiniteLosses(report, this.whereabouts());
        const now = performance.now();
        this.note(report, (now - begun) / 1000);
        const index = this.step % this.stepsPerEpoch;
        if (index === 0 || index % this.pace.logEvery === 0) await this.recordGroup();
        begun = now;
      },
    });
  }

  /** Adds a step to the group in progress. */
  private note(report: StepReport, seconds: number): void {
    const images = this.recipe.data.batch;
    this.meter.add(report, images, seconds);
    const { step, epoch } = this;
    this.listener.progress?.({ step, epoch, total: report.total, imagesPerSecond: images / seconds });
  }

  /** What is due after a run of steps: the end of an epoch, a checkpoint, a stop. */
  private async afterRun(): Promise<void> {
    if (this.step % this.stepsPerEpoch === 0) await this.endEpoch();
    else if (this.isCheckpointDue) await this.checkpoint();
    else if (this.options.signal?.aborted && this.pausesAnywhere) await this.checkpoint();
    this.stopIfAsked();
  }

  /** At the last step it comes after the evaluation. */
  private get isCheckpointDue(): boolean {
    return this.step % this.pace.checkpointEvery === 0 && this.step < this.totalSteps && !this.isLeftOut;
  }

  /** Whether the last step was left out: whether the state before it is sound, only the next one that is made will show. */
  private get isLeftOut(): boolean {
    return this.attempt.leftOut.has(this.step);
  }

  /**
   * Whether training goes on from any step as if it had not stopped there. Late updates are made before it stops, earlier than they would have been; and where it
   * goes back to checkpoints, one more of them changes how far.
   */
  private get pausesAnywhere(): boolean {
    return this.open.engine.delay === 0 && !this.goesBack;
  }

  private get goesBack(): boolean {
    return (this.options.onNan ?? 'stop') !== 'stop';
  }

  private async endEpoch(): Promise<void> {
    await this.evaluate('epoch');
    if (!this.isLeftOut) await this.checkpoint();
  }

  private async finish(): Promise<TrainResult> {
    if (!this.evaluated || !this.meter.empty || this.checkpoints.latestStep !== this.step) {
      if (!this.meter.empty) await this.recordGroup();
      await this.evaluate('evaluation');
      await this.checkpoint();
    }
    const { accuracy, loss, images } = this.evaluation!;
    const { step, skipped: skippedSteps, epoch, folder } = this;
    const result = { step, skippedSteps, epoch, testAccuracy: accuracy, testLoss: loss, testImages: images, folder };
    this.tell({ event: 'done', ...result });
    return result;
  }

  private async recordGroup(): Promise<void> {
    const { step, epoch } = this;
    const { learningRate: rate } = this.whereabouts();
    const { now: residentBytes, peak: peakBytes } = residentMemory();
    const stages = this.open.engine.takeTimes();
    const event = {
      event: 'step',
      step,
      epoch,
      learningRate: rate,
      ...this.meter.take(),
      peakBytes,
      residentBytes,
    } as const;
    await this.record(stages.length === 0 ? event : { ...event, stages });
  }

  /** Evaluates the test split, unless that was done at this step. Leaves at once if the training is to stop. */
  private async evaluate(event: EvaluationEvent['event']): Promise<void> {
    if (this.evaluated) return;
    const { step, epoch } = this;
    const { engine } = this.open;
    try {
      const on = (images: BatchSource) => evaluate((image) => engine.evaluate(image), images, this.options.signal);
      const found = await this.timed('evaluation', async () => ({
        test: await on(this.data.test),
        train: await on(this.data.trainSample),
      }));
      requireFiniteEvaluation(found.test.loss, this.whereabouts());
      this.evaluation = { step, ...found.test };
      await this.record({
        event,
        step,
        epoch,
        testAccuracy: found.test.accuracy,
        testLoss: found.test.loss,
        trainAccuracy: found.train.accuracy,
      });
    } catch (error) {
      if (error !== this.options.signal?.reason) throw error;
      if (!this.goesBack) await this.checkpoint();
      this.stopIfAsked();
    }
  }

  private async checkpoint(): Promise<void> {
    const folder = await this.timed('checkpoint', async () => {
      await this.recorder.sync();
      // At the step of the latest one the writer has them.
      const tensors = this.checkpoints.latestStep === this.step ? undefined : await this.tensors();
      return this.checkpoints.write(this.state(), () => tensors!);
    });
    this.tell({ event: 'checkpoint', step: this.step, folder });
  }

  /** Weights and optimizer state to keep. @throws RunError `WEIGHTS_NOT_FINITE` */
  private async tensors(): Promise<{ weights: NamedTensors; optimizer: NamedTensors }> {
    const { engine } = this.open;
    const weights = await engine.readWeights();
    const optimizer = await engine.readOptimizer();
    for (const [name, tensor] of [...weights, ...optimizer]) {
      await othersTurn();
      requireFiniteTensors(new Map([[name, tensor]]), this.whereabouts());
    }
    return { weights, optimizer };
  }

  private async timed<T>(kind: WorkSpan['kind'], work: () => Promise<T>): Promise<T> {
    const { step } = this;
    const begin = performance.now();
    try {
      return await work();
    } finally {
      this.listener.work?.({ kind, step, begin, end: performance.now() });
    }
  }

  private state(): RunState {
    const { step, skipped, stepsPerEpoch, recipe, computed, evaluation } = this;
    return {
      step,
      skipped,
      epoch: Math.floor(step / stepsPerEpoch) + 1,
      index: step % stepsPerEpoch,
      stepsPerEpoch,
      seed: recipe.seed,
      recipeHash: recipeHash(recipe),
      overrides: this.attempt.beginning.overrides,
      dataHash: this.data.hash,
      computed,
      evaluation,
      openGroup: this.meter.empty ? null : this.meter.open(),
    };
  }

  /** The epoch, 1-based, of the last step done. */
  private get epoch(): number {
    return Math.max(1, Math.ceil(this.step / this.stepsPerEpoch));
  }

  /** Whether the last evaluation is of the last step. */
  private get evaluated(): boolean {
    return this.evaluation?.step === this.step;
  }

  private whereabouts(): Whereabouts {
    return { step: this.step, learningRate: learningRate(this.recipe, this.epoch) };
  }

  private startEvent(): TrainEvent {
    const { recipe, folder, step, totalSteps, stepsPerEpoch, data, computed } = this;
    return {
      event: 'start',
      recipe: recipe.name,
      folder,
      step,
      totalSteps,
      stepsPerEpoch,
      modules: this.open.manifest.modules.length,
      batch: recipe.data.batch,
      trainImages: data.trainImages,
      testImages: data.testImages,
      schedule: computed.schedule,
      lowering: computed.lowering,
      device: computed.device,
    };
  }

  private session(): Session {
    const { step, totalSteps, stepsPerEpoch, data, computed } = this;
    return {
      time: new Date().toISOString(),
      hpff: version,
      step,
      totalSteps,
      stepsPerEpoch,
      modules: this.open.manifest.modules.length,
      trainImages: data.trainImages,
      testImages: data.testImages,
      ...computed,
      machine: thisMachine(),
    };
  }

  private async record(event: MetricsEvent): Promise<void> {
    await this.recorder.record(event);
    this.tell(event);
  }

  private tell(event: TrainEvent): void {
    this.listener.event?.(event);
  }

  private stopIfAsked(): void {
    if (!this.options.signal?.aborted) return;
    const at = `stopped as asked after step ${this.step} of ${this.totalSteps}`;
    const { latestStep } = this.checkpoints;
    const from = latestStep === this.step ? '' : ` from the checkpoint of step ${latestStep}`;
    const resume = latestStep === null ? '' : `; go on${from} with --resume`;
    throw new RunError('TRAIN_INTERRUPTED', `${printable(this.folder)}: ${at}${resume}`);
  }
}
