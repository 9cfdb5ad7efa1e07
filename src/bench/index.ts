/** Benchmarks of training steps. */
export { bench, type BenchResult, type Subject } from './bench.js';
