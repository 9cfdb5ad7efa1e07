/** What a comparison and the process of one of its runs say to each other. */
import type { Recipe } from '../recipe/index.js';
import type { StepProgress, TrainOptions } from '../train/index.js';

/** Options of `train` that all runs of a comparison have. */
export type SharedOptions = Pick<
  TrainOptions,
  | 'data'
  | 'epochs'
  | 'steps'
  | 'schedule'
  | 'delay'
  | 'stages'
  | 'balance'
  | 'lowering'
  | 'device'
  | 'threads'
  | 'checkpointEvery'
>;

export interface RunRequest {
  readonly recipe: Recipe;
  readonly options: SharedOptions & Pick<TrainOptions, 'folder' | 'seed' | 'resume'>;
}

export type Command =
  | { readonly kind: 'start'; readonly request: RunRequest }
  /** Stop after the step in progress, with a checkpoint. */
  | { readonly kind: 'stop' };

export type Answer =
  | { readonly kind: 'started'; readonly step: number; readonly totalSteps: number }
  | { readonly kind: 'progress'; readonly progress: StepProgress }
  | { readonly kind: 'evaluated'; readonly epoch: number; readonly testAccuracy: number }
  | { readonly kind: 'warning'; readonly line: string }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly exitCode: 1 | 2 };
