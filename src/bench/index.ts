/** Benchmarks of training steps. */
export {
  alternate,
  bench,
  type BenchListener,
  BenchProcess,
  type BenchResult,
  type Measurement,
  type Ratios,
  ratios,
  type Subject,
  type Trainer,
} from './bench.js';
export type { Breakdown, BreakdownRow } from './breakdown.js';
export type { NodeCost, Part, Place, StepCosts } from './costs.js';
export { median } from './median.js';
export { profile, type Profile } from './profile.js';
export { ProfileFolder } from './profile-folder.js';
