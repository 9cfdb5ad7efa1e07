/** Benchmarks of training steps. */
export {
  alternate,
  bench,
  BenchProcess,
  type BenchResult,
  type Measurement,
  spread,
  type Subject,
  type Trainer,
} from './bench.js';
