/** Artifacts for ONNX Runtime's training API. */
export { fromOrtCheckpoint, type ModuleTensors, type TensorSpec, type TrainingTensors } from './checkpoint.js';
export { type OrtState, readOrtCheckpoints } from './checkpoint-folder.js';
export { fileIn } from './entries.js';
export {
  buildTrainingGraphs,
  checkpointOf,
  type ModuleArtifacts,
  type TrainingGraphOptions,
  type TrainingGraphs,
} from './graphs.js';
export { lossName } from './module-plan.js';
export { keptName, type RateTable } from './models.js';
