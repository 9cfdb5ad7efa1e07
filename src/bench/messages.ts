/** What a benchmark's processes say to each other. */
import type { Recipe } from '../recipe/index.js';
import type { StepCosts } from './costs.js';

/** One thing to measure. */
export interface Subject {
  readonly recipe: Recipe;
  readonly schedule: string;
  /** Of the schedule `async`. */
  readonly delay?: number;
  readonly stages?: number;
  readonly lowering: string;
  readonly threads: number;
}

export type Command =
  /** `profileFolder`: measure the nodes too, and write files there meanwhile. */
  | { readonly kind: 'start'; readonly subject: Subject; readonly profileFolder?: string }
  | { readonly kind: 'step' }
  /** Ends measuring the nodes. */
  | { readonly kind: 'profile' }
  | { readonly kind: 'finish' };

export type Answer =
  | {
      readonly kind: 'ready';
      readonly openSeconds: number;
      readonly lowering: string;
      /** Channels in a block of the blocked lowering. */
      readonly block?: number;
      /** Lines on what was chosen, and why. */
      readonly notes: readonly string[];
    }
  | { readonly kind: 'stepped'; readonly seconds: number }
  | { readonly kind: 'profiled'; readonly costs: StepCosts }
  | {
      readonly kind: 'finished';
      readonly peakBytes: number;
      readonly weightBytes: number;
      readonly processPeakBytes: number;
    }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly exitCode: 1 | 2 };
