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

export interface BenchResult {
  readonly recipe: string;
  readonly schedule: string;
  readonly lowering: string;
  readonly threads: number;
  readonly batch: number;
  /** Building the graphs and creating the sessions. */
  readonly openSeconds: number;
  readonly stepSeconds: { readonly min: number; readonly median: number; readonly max: number };
  /** Peak resident memory of the process, less that before the weights were loaded. */
  readonly peakBytes: number;
  /** Parameters, running statistics and optimizer state. */
  readonly weightBytes: number;
  /** What should be alive at once beyond the weights, by the graphs. */
  readonly predictedBytes: number;
  /** Peak resident memory of the whole process, from its start on. */
  readonly processPeakBytes: number;
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
 * @param progress called after each round with the number of rounds done
 * @throws InputError or RunError as the first process that fails
 */
export async function bench(
  subjects: readonly Subject[],
  steps: number,
  progress: (done: number) => void = () => {},
): Promise<BenchResult[]> {
  const measurements = await alternate(
    subjects.map((subject) => new BenchProcess(subject)),
    steps,
    progress,
  );
  return measurements.map(({ seconds, finished }) => ({ ...finished, stepSeconds: spread(seconds) }));
}

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

/** The process of one recipe. */
export class BenchProcess implements Trainer<Omit<BenchResult, 'stepSeconds'>> {
  private readonly worker: WorkerProcess;
  private openSeconds = 0;
  private lowering: Lowering = portable;

  constructor(private readonly subject: Subject) {
    this.worker = new WorkerProcess(subject.recipe.name);
  }

  async start(): Promise<void> {
    const ready = await this.worker.ask({ kind: 'start', subject: this.subject }, 'ready');
    this.openSeconds = ready.openSeconds;
    if (ready.block !== undefined) this.lowering = blocked(ready.block);
  }

  async step(): Promise<number> {
    return (await this.worker.ask({ kind: 'step' }, 'stepped')).seconds;
  }

  async finish(): Promise<Omit<BenchResult, 'stepSeconds'>> {
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
      predictedBytes: predictStepMemory(recipe, { schedule: predicted, lowering: this.lowering }).peakBytes,
      processPeakBytes,
    };
  }

  kill(): void {
    this.worker.kill();
  }
}

/** @throws RangeError unless there is one at least */
export function spread(values: readonly number[]): { min: number; median: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) throw new RangeError('no values to take a median of');
  return { min: sorted[0]!, median: median(sorted), max: sorted.at(-1)! };
}
