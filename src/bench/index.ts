/** Benchmarks of training steps. */
export {
  alternate,
  bench,
  BenchProcess,
  type BenchResult,
  type Measurement,
  type Subject,
  type Trainer,
} from './bench.js';
export type { Breakdown, BreakdownRow } from './breakdown.js';
export type { NodeCost, Part, Place, StepCosts } from './costs.js';
export { profile, type Profile } from './profile.js';
