/**
 * Step time and peak memory of recipes on synthetic data. Each recipe runs in a process of its own; their steps alternate, so that what slows the machine
 * down for a while slows down all of them.
 */
import { predictStepMemory } from '../artifacts/index.js';
import { blocked, type Lowering, portable } from '../lower/index.js';
import type { ScheduleName } from '../pipeline/index.js';
import { median } from './median.js';
import type { Subject } from './messages.js';
import { WorkerProcess } from './process.js';

export type { Subject } from './messages.js';

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export interface BenchResult {
  readonly recipe: string;
  readonly schedule: string;
  readonly lowering: string;
  readonly threads: number;
  readonly batch: number;
  /** Building the graphs and creating the sessions. */
  readonly openSeconds: number;
  readonly stepSeconds: Spread;
  /** Of each measured step, in order. */
  readonly roundSeconds: readonly number[];
  /** Peak resident memory of the process, less that before the weights were loaded. */
  readonly peakBytes: number;
  /** Parameters, running statistics and optimizer state. */
  readonly weightBytes: number;
  /** `peakBytes` less `weightBytes`. */
  readonly beyondWeightsBytes: number;
  /** What should be alive at once beyond the weights, by the graphs. */
  readonly predictedBytes: number;
  /** Peak resident memory of the whole process, from its start on. */
  readonly processPeakBytes: number;
}

/** How two results that were measured in turn compare: the first over the second. */
export interface Ratios {
  /** The median of the ratios of the rounds, in each of which the two took their steps one after the other. */
  readonly stepSeconds: number;
  readonly beyondWeightsBytes: number;
}

/** What a benchmark tells while it runs. */
export interface BenchListener {
  /** After each round: how many are done. */
  readonly progress?: (done: number) => void;
  /** A line on what was chosen, and why. */
  readonly note?: (line: string) => void;
}

/** A process that trains: what it takes to measure it in turn with others. */
export interface Trainer<Finished> {
  start(): Promise<void>;
  /** One training step; its seconds. */
  step(): Promise<number>;
  finish(): Promise<Finished>;
  kill(): void;
}

export interface Measurement<Finished> {
  /** Of each measured step, in order. */
  readonly seconds: readonly number[];
  readonly finished: Finished;
}

/**
 * @param steps measured for each subject, after one that is not
 * @throws InputError or RunError as the first process that fails
 */
export async function bench(
  subjects: readonly Subject[],
  steps: number,
  { progress, note }: BenchListener = {},
): Promise<BenchResult[]> {
  const processes = subjects.map((subject) => new BenchProcess(subject, note));
  const measurements = await alternate(processes, steps, progress);
  return measurements.map(({ seconds, finished }) => ({
    ...finished,
    stepSeconds: spread(seconds),
    roundSeconds: seconds,
  }));
}

/** @param first measured in turn with `second`, in as many rounds */
export function ratios(first: Compared, second: Compared): Ratios {
  return {
    stepSeconds: median(first.roundSeconds.map((seconds, round) => seconds / second.roundSeconds[round]!)),
    beyondWeightsBytes: first.beyondWeightsBytes / second.beyondWeightsBytes,
  };
}

type Compared = Pick<BenchResult, 'roundSeconds' | 'beyondWeightsBytes'>;

/**
 * Starts all processes, then takes one step of each in turn, and kills them in the end.
 * @param steps measured for each process, after one that is not
 * @throws as the first process that fails
 */
export async function alternate<Finished>(
  trainers: readonly Trainer<Finished>[],
  steps: number,
  progress: (done: number) => void = () => {},
): Promise<Measurement<Finished>[]> {
  try {
    for (const trainer of trainers) await trainer.start();
    for (const trainer of trainers) await trainer.step();
    const seconds = trainers.map((): number[] => []);
    for (let done = 1; done <= steps; done++) {
      for (const [i, trainer] of trainers.entries()) seconds[i]!.push(await trainer.step());
      progress(done);
    }
    const measurements: Measurement<Finished>[] = [];
    for (const [i, trainer] of trainers.entries())
      measurements.push({ seconds: seconds[i]!, finished: await trainer.finish() });
    return measurements;
  } finally {
    for (const trainer of trainers) trainer.kill();
  }
}

/** A result without the times of its steps. */
type Finished = Omit<BenchResult, 'stepSeconds' | 'roundSeconds'>;

/** The process of one recipe. */
export class BenchProcess implements Trainer<Finished> {
  private readonly worker: WorkerProcess;
  private openSeconds = 0;
  private lowering: Lowering = portable;

  /** @param note takes a line on what was chosen, and why */
  constructor(
    private readonly subject: Subject,
    private readonly note: (line: string) => void = () => {},
  ) {
    this.worker = new WorkerProcess(subject.recipe.name);
  }

  async start(): Promise<void> {
    const ready = await this.worker.ask({ kind: 'start', subject: this.subject }, 'ready');
    this.openSeconds = ready.openSeconds;
    if (ready.block !== undefined) this.lowering = blocked(ready.block);
    for (const line of ready.notes) this.note(`${this.subject.recipe.name}: ${line}`);
  }

  async step(): Promise<number> {
    return (await this.worker.ask({ kind: 'step' }, 'stepped')).seconds;
  }

  async finish(): Promise<Finished> {
    const { peakBytes, weightBytes, processPeakBytes } = await this.worker.ask({ kind: 'finish' }, 'finished');
    const { recipe, threads } = this.subject;
    const schedule = this.subject.schedule as ScheduleName;
    // What a step keeps under `async` is that of `sync`, and more by as much as stages go ahead.
    const predicted = schedule === 'async' ? 'sync' : schedule;
    return {
      recipe: recipe.name,
      schedule,
      lowering: this.lowering.name,
      threads,
      batch: recipe.data.batch,
      openSeconds: this.openSeconds,
      peakBytes,
      weightBytes,
      beyondWeightsBytes: peakBytes - weightBytes,
      predictedBytes: predictStepMemory(recipe, { schedule: predicted, lowering: this.lowering }).peakBytes,
      processPeakBytes,
    };
  }

  kill(): void {
    this.worker.kill();
  }
}

/** @throws RangeError unless there is one at least */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) throw new RangeError('no values to take a median of');
  return { min: sorted[0]!, median: median(sorted), max: sorted.at(-1)! };
}
