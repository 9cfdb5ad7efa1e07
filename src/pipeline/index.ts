/** Running training steps: engines and how to open one. */
export { chooseLowering, type LoweringChoice, loweringNames } from './choose-lowering.js';
export type { StepReport, TrainEngine } from './engine.js';
export { type EngineOptions, type OpenEngine, openEngine, type ScheduleName, scheduleNames } from './open-engine.js';
export { batchFrom, type OneBatchOptions, trainOnBatch } from './one-batch.js';
export { collectGarbage } from './process-memory.js';
export { StepEngine, type TaskProfile } from './step-engine.js';
