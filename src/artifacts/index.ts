/** The graphs of a training step. `folder.ts`, which keeps them, and `ort-training/` need Node, all else runs in browsers too. */
export { checkWeights, type WeightCheck, type WeightSpec } from './check-weights.js';
export { buildGraphs, type GraphSet } from './graphs.js';
export type { GraphOptions } from './plan.js';
export { buildSharedGraphs, type ModelUse, type SharedGraphs, unshared } from './shared-graphs.js';
export { isPassing, lastUses, stepGraphs } from './step-graphs.js';
export { predictStepMemory, stepMemory, type StepMemory, type StepMemoryOptions } from './step-memory.js';
export { averagedWeights, keptStates, startOf, stateSpecs } from './kept-state.js';
export { imagesPerRun, runsPerStep } from './manifest.js';
export type * from './manifest.js';
