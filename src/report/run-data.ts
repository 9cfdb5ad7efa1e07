/** What the report of a run shows: its metrics in few buckets. */
import { readMetrics, type Recorded, type RecordedStep, stageShares } from '../train/index.js';
import { Buckets } from './buckets.js';

/** More than a screen has columns for. */
const MOST_BUCKETS = 800;
const MOST_EVALUATIONS = 2000;

type Numbers = readonly (number | null)[];

export interface LossSeries {
  readonly module: number;
  /** e.g. `cascade/decoder` */
  readonly head: string;
  readonly values: Numbers;
}

export interface StageSeries {
  /** Indices of its modules, at last. */
  readonly modules: readonly number[];
  /** Shares of its time, 0 … 1. */
  readonly busy: Numbers;
  readonly waiting: Numbers;
  readonly transfer: Numbers;
  /** Over the whole run, in seconds. */
  readonly busySeconds: number;
  readonly waitingSeconds: number;
  readonly transferSeconds: number;
}

export interface RunData {
  /** The last step of each bucket; all series below have a number for each. */
  readonly steps: readonly number[];
  readonly total: { readonly mean: Numbers; readonly low: Numbers; readonly high: Numbers };
  readonly losses: readonly LossSeries[];
  readonly learningRate: Numbers;
  readonly stepSeconds: { readonly mean: Numbers; readonly low: Numbers; readonly high: Numbers };
  /** Bytes. */
  readonly resident: Numbers;
  readonly peak: Numbers;
  /** Of the schedule `async`. */
  readonly stages: readonly StageSeries[];
  readonly evaluations: readonly Evaluated[];
}

export interface Evaluated {
  readonly step: number;
  readonly epoch: number;
  readonly testAccuracy: number;
  readonly testLoss: number;
  readonly trainAccuracy: number | null;
}

/** What the whole run comes to. */
export interface RunTotals {
  /** Optimizer steps that metrics.jsonl tells of. */
  readonly step: number;
  readonly epoch: number;
  /** Of all steps that were timed. */
  readonly trainSeconds: number;
  /** Steps whose updates were not made. */
  readonly skippedSteps: number;
  readonly timedSteps: number;
  readonly peakBytes: number | null;
  readonly trainLoss: number | null;
  readonly best: Evaluated | null;
  readonly last: Evaluated | null;
}

/** @throws InputError as `readMetrics` */
export async function readRunData(run: string): Promise<{ data: RunData; totals: RunTotals }> {
  const collector = new Collector();
  for await (const event of readMetrics(run)) collector.take(event);
  return { data: collector.data(), totals: collector.totals() };
}

class Collector {
  private readonly buckets = new Buckets(MOST_BUCKETS);
  private readonly evaluations: Evaluated[] = [];
  private stageModules: (readonly number[])[] = [];
  private readonly stageSums: { busySeconds: number; waitingSeconds: number; transferSeconds: number }[] = [];
  private step = 0;
  private epoch = 0;
  private trainSeconds = 0;
  private skippedSteps = 0;
  private timedSteps = 0;
  private peakBytes = 0;
  private trainLoss: number | null = null;
  private best: Evaluated | null = null;

  take(event: Recorded): void {
    this.step = event.step;
    this.epoch = event.epoch ?? this.epoch;
    if (event.event === 'step') return this.takeStep(event);
    if (event.event === 'skipped') return void this.skippedSteps++;
    const { step, epoch, testAccuracy, testLoss, trainAccuracy = null } = event;
    const evaluated = { step, epoch, testAccuracy, testLoss, trainAccuracy };
    this.evaluations.push(evaluated);
    if (this.best === null || testAccuracy > this.best.testAccuracy) this.best = evaluated;
  }

  data(): RunData {
    const { buckets } = this;
    const range = (name: string) => {
      const { values, lows = [], highs = [] } = buckets.get(name);
      return { mean: values.map(shorter), low: lows.map(shorter), high: highs.map(shorter) };
    };
    const values = (name: string): Numbers => buckets.get(name).values.map(shorter);
    return {
      steps: buckets.steps(),
      total: range('total'),
      losses: buckets
        .names()
        .filter((name) => name.startsWith('loss/'))
        .map((name) => ({ ...placeOf(name), values: values(name) }))
        .sort((a, b) => a.module - b.module),
      learningRate: values('learningRate'),
      stepSeconds: range('stepSeconds'),
      resident: values('resident'),
      peak: values('peak'),
      stages: this.stageModules.map((modules, i) => ({ modules, ...this.stageShares(i), ...this.stageSums[i]! })),
      evaluations: thinned(this.evaluations, MOST_EVALUATIONS),
    };
  }

  totals(): RunTotals {
    const { step, epoch, trainSeconds, timedSteps, skippedSteps, peakBytes, trainLoss, best } = this;
    const last = this.evaluations.at(-1) ?? null;
    return { step, epoch, trainSeconds, timedSteps, skippedSteps, peakBytes: peakBytes || null, trainLoss, best, last };
  }

  private takeStep(event: RecordedStep): void {
    const { step, steps, total, losses, learningRate, stepSeconds, peakBytes, residentBytes, stages = [] } = event;
    const { buckets } = this;
    buckets.row(step);
    buckets.add('total', total, steps, 'range');
    for (const [name, loss] of Object.entries(losses)) buckets.add(`loss/${name}`, loss, steps);
    if (learningRate !== undefined) buckets.add('learningRate', learningRate, steps, 'last');
    if (typeof stepSeconds === 'number') {
      buckets.add('stepSeconds', stepSeconds, steps, 'range');
      this.trainSeconds += stepSeconds * steps;
      this.timedSteps += steps;
    }
    if (residentBytes !== undefined) buckets.add('resident', residentBytes, steps, 'max');
    if (peakBytes !== undefined) buckets.add('peak', peakBytes, steps, 'max');
    this.peakBytes = Math.max(this.peakBytes, peakBytes ?? 0);
    this.trainLoss = total;
    if (stages.length > 0) this.takeStages(stages);
  }

  private takeStages(stages: NonNullable<RecordedStep['stages']>): void {
    this.stageModules = stages.map(({ modules }) => modules);
    stages.forEach((times, i) => {
      const sums = (this.stageSums[i] ??= { busySeconds: 0, waitingSeconds: 0, transferSeconds: 0 });
      for (const key of ['busySeconds', 'waitingSeconds', 'transferSeconds'] as const) {
        sums[key] += times[key];
        this.buckets.add(`stage/${i}/${key}`, times[key], 1, 'sum');
      }
    });
  }

  private stageShares(stage: number): { busy: Numbers; waiting: Numbers; transfer: Numbers } {
    const of = (key: string): Numbers => this.buckets.get(`stage/${stage}/${key}`).values;
    const [busy, waiting, transfer] = [of('busySeconds'), of('waitingSeconds'), of('transferSeconds')];
    const shares = busy.map((busySeconds, i) =>
      busySeconds === null
        ? null
        : stageShares({ modules: [], busySeconds, waitingSeconds: waiting[i]!, transferSeconds: transfer[i]! }),
    );
    const pick = (key: 'busy' | 'waiting' | 'transfer'): Numbers => shares.map((share) => share && shorter(share[key]));
    return { busy: pick('busy'), waiting: pick('waiting'), transfer: pick('transfer') };
  }
}

/** `loss/3/cascade/decoder` → module 3, `cascade/decoder`. */
function placeOf(name: string): { module: number; head: string } {
  const [, module, ...head] = name.split('/');
  return { module: Number(module), head: head.join('/') };
}

/** Five digits are more than a screen shows. */
const shorter = (value: number | null): number | null => (value === null ? null : Number(value.toPrecision(5)));

/** Evenly spaced ones, the last included. */
function thinned<T>(values: readonly T[], most: number): readonly T[] {
  if (values.length <= most) return values;
  return Array.from({ length: most }, (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))]!);
}
