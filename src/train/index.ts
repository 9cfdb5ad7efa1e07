/** Training and evaluation: the loop, its run folder, and what it tells. */
export { readLatest, type Checkpoint } from './checkpoint.js';
export type { CheckpointState } from './checkpoint-state.js';
export { evaluate, evaluationLoader, type Evaluation, type Score } from './evaluate.js';
export type * from './events.js';
export { stageShares } from './events.js';
export { type Difference, firstDifference } from './difference.js';
export { learningRate } from './learning-rate.js';
export { type NanPolicy, nanPolicies, type TrainOptions } from './options.js';
export { readMetrics, type Recorded, type RecordedStep } from './read-metrics.js';
export { readRun, readRunOutline, refuseRunFile, requireSameRecipe, type Run, type RunOutline } from './run-folder.js';
export { type Machine, readSessions, type Session as RunSession, thisMachine } from './sessions.js';
export { totalSteps } from './total-steps.js';
export { train } from './trainer.js';
export type { TrainResult } from './training.js';
export { evaluateModel, type EvaluateModelOptions, type ModelEvaluation } from './evaluate-model.js';
export { exportRun, type ExportedRun, type ExportOptions } from './export-run.js';
export { exportStateDict, type StateDictFile, type StateDictOptions } from './export-state-dict.js';
