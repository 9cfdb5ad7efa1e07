/** Running training steps: engines and how to open one. */
export { chooseLowering, type LoweringChoice, loweringNames } from './choose-lowering.js';
export { runOneStep } from './engine.js';
export { inMicroSteps } from './micro-steps.js';
export type { StageTimes, StepInput, StepLosses, StepReport, StepRun, TaskProfile, TrainEngine } from './engine.js';
export { balanceNames, type EngineOptions, type OpenEngine } from './engine-options.js';
export { balanceOf } from './engine-plan.js';
export { type Evaluator, openEvaluator } from './evaluator.js';
export { JoinedReports } from './joined-reports.js';
export { type MeasuredSplit, measureSplit } from './measured-split.js';
export { ModuleCosts } from './module-costs.js';
export { openEngine } from './open-engine.js';
export { openOnRuntime, type OnRuntimeOptions } from './open-on-runtime.js';
export { backendNames, refuseWithoutTraining, wantsOrtTraining } from './open-ort-training.js';
export { batchFrom, type OneBatchOptions, trainOnBatch } from './one-batch.js';
export {
  collectGarbage,
  collectYoungGarbage,
  type ResidentMemory,
  residentMemory,
  searchHeapLessOften,
} from './process-memory.js';
export { openStage, type OpenStage } from './open-stage.js';
export { balance, measureModules, memoryCosts, type StageCosts } from './balance.js';
export { Orchestrator } from './orchestrator.js';
export { PipelineEngine } from './pipeline-engine.js';
export { type ScheduleName, scheduleNames, stepScheduleNames } from './schedule-names.js';
export { StageClock } from './stage-clock.js';
export { totalLoss } from './step-findings.js';
export type { TraceEvent } from './orchestrator.js';
export { StepEngine } from './step-engine.js';
export { LoadedGraphs } from './loaded-graphs.js';
export { TaskRunner } from './task-runner.js';
export { trunkScores } from './trunk-scores.js';
