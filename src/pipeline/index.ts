/** Running training steps: engines and how to open one. */
export { chooseLowering, type LoweringChoice, loweringNames } from './choose-lowering.js';
export type { StageTimes, StepInput, StepLosses, StepReport, StepRun, TaskProfile, TrainEngine } from './engine.js';
export {
  type EngineOptions,
  balanceNames,
  type OpenEngine,
  openEngine,
  type ScheduleName,
  scheduleNames,
  stepScheduleNames,
} from './open-engine.js';
export { batchFrom, type OneBatchOptions, trainOnBatch } from './one-batch.js';
export { collectGarbage } from './process-memory.js';
export { PipelineEngine } from './pipeline-engine.js';
export type { TraceEvent } from './orchestrator.js';
export { StepEngine } from './step-engine.js';
