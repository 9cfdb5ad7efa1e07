/** What training tells while it runs. Events are plain data: the command line prints them as JSON, metrics.jsonl keeps some. */
import type { StageTimes } from '../pipeline/engine.js';

export interface StartEvent {
  readonly event: 'start';
  readonly recipe: string;
  readonly folder: string;
  /** Optimizer steps done before, when a run is resumed; otherwise 0. */
  readonly step: number;
  /** Step to end at. */
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  readonly modules: number;
  readonly batch: number;
  readonly trainImages: number;
  readonly testImages: number;
  readonly schedule: string;
  readonly lowering: string;
  readonly device: string;
}

/** A group of steps, up to and with `step`. */
export interface StepEvent {
  readonly event: 'step';
  readonly step: number;
  /** 1-based. */
  readonly epoch: number;
  /** Steps in the group. */
  readonly steps: number;
  readonly learningRate: number;
  /** Mean over the group, by `<module>/<independent|cascade|final>/<classifier|decoder>`, before weighting. */
  readonly losses: Readonly<Record<string, number>>;
  /** Mean over the group of the weighted sum. */
  readonly total: number;
  /** null where none of the group's steps was timed. */
  readonly imagesPerSecond: number | null;
  /** Mean over the steps of the group that were timed, evaluations and checkpoints left out; null where none was. */
  readonly stepSeconds: number | null;
  /** Of these, spent on waiting for images; null likewise. */
  readonly dataSeconds: number | null;
  /** Peak resident memory of the process so far, in bytes. */
  readonly peakBytes: number;
  /** Resident memory of the process now, in bytes. */
  readonly residentBytes: number;
  /** Under the schedule `async`: where the time of each stage went since the line before, evaluations left out. */
  readonly stages?: readonly StageTimes[];
}

/** The test split, at the end of an epoch (`epoch`) or where a run stops within one (`evaluation`). */
export interface EvaluationEvent {
  readonly event: 'epoch' | 'evaluation';
  readonly step: number;
  readonly epoch: number;
  readonly testAccuracy: number;
  /** Mean cross-entropy. */
  readonly testLoss: number;
  /** Of a fixed sample of the training images, not augmented. Runs of older versions have none. */
  readonly trainAccuracy?: number;
}

/** A step whose update was not made, since it or what followed gave no numbers (`TrainOptions.onNan`). It counts as a step all the same. */
export interface SkippedEvent {
  readonly event: 'skipped';
  readonly step: number;
  readonly epoch: number;
}

export interface CheckpointEvent {
  readonly event: 'checkpoint';
  readonly step: number;
  readonly folder: string;
}

export interface DoneEvent {
  readonly event: 'done';
  readonly step: number;
  /** Of these, left out (`SkippedEvent`). */
  readonly skippedSteps: number;
  readonly epoch: number;
  readonly testAccuracy: number;
  readonly testLoss: number;
  readonly testImages: number;
  readonly folder: string;
}

export type TrainEvent = StartEvent | StepEvent | SkippedEvent | EvaluationEvent | CheckpointEvent | DoneEvent;

/** What a run keeps in metrics.jsonl. */
export type MetricsEvent = StepEvent | SkippedEvent | EvaluationEvent;

/** Work between training steps; times in milliseconds of `performance.now()`. */
export interface WorkSpan {
  readonly kind: 'evaluation' | 'checkpoint';
  /** Optimizer steps done. */
  readonly step: number;
  readonly begin: number;
  readonly end: number;
}

/** Shares of a stage's time, 0 … 1; `busy` and `waiting` are all of it, `transfer` goes on meanwhile. */
export interface StageShares {
  readonly busy: number;
  readonly waiting: number;
  readonly transfer: number;
}

/** Where the time of a stage went; nowhere, if it had none. */
export function stageShares({ busySeconds, waitingSeconds, transferSeconds }: StageTimes): StageShares {
  const all = busySeconds + waitingSeconds;
  const of = (seconds: number): number => (all > 0 ? seconds / all : 0);
  return { busy: of(busySeconds), waiting: of(waitingSeconds), transfer: of(transferSeconds) };
}

/** One step done, for a progress bar. */
export interface StepProgress {
  readonly step: number;
  readonly epoch: number;
  readonly total: number;
  readonly imagesPerSecond: number;
}

export interface TrainListener {
  readonly event?: (event: TrainEvent) => void;
  readonly progress?: (progress: StepProgress) => void;
  /** Is told when it is done. */
  readonly work?: (work: WorkSpan) => void;
  /** A doubtful circumstance, on one line. */
  readonly warn?: (line: string) => void;
}
