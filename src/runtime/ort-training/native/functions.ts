/**
 * The functions of `OrtTrainingApi` that are called, and of `OrtApi` beside those that the native runtime calls.
 *
 * Unlike `OrtApi`, `OrtTrainingApi` made no promise to keep its order: these places are those of the headers of 1.19.2, the last version that has the
 * table, and no other version may be called by them.
 */
import { type BoundFunctions, fn, FUNCTIONS, type OrtFunctions } from '../../native/functions.js';

/** Version of `OrtApi` that 1.19.2 has. */
export const TRAINING_API_VERSION = 19;

export const TRAINING_FUNCTIONS = {
  // (checkpoint, path, with the optimizer's state)
  SaveCheckpoint: fn(1, 0, 'status', ['handle', 'path', 'bool']),
  // (env, options, checkpoint, paths of training, evaluation and optimizer model, out session)
  CreateTrainingSession: fn(2, 0, 'status', ['handle', 'handle', 'handle', 'path', 'path', 'path', 'bytes']),
  TrainingSessionGetTrainingModelOutputCount: fn(4, 0, 'status', ['handle', 'bytes']),
  // (session, index, allocator, out string to free)
  TrainingSessionGetTrainingModelOutputName: fn(6, 0, 'status', ['handle', 'size', 'handle', 'bytes']),
  LazyResetGrad: fn(8, 0, 'status', ['handle']),
  // (session, run options, input count, inputs, output count, out outputs)
  TrainStep: fn(9, 0, 'status', ['handle', 'handle', 'size', 'bytes', 'size', 'bytes']),
  SetLearningRate: fn(11, 0, 'status', ['handle', 'float']),
  // (session, run options)
  OptimizerStep: fn(13, 0, 'status', ['handle', 'handle']),
  // (session, out elements, trainable only)
  GetParametersSize: fn(16, 0, 'status', ['handle', 'bytes', 'bool']),
  // (session, buffer, trainable only)
  CopyParametersToBuffer: fn(17, 0, 'status', ['handle', 'handle', 'bool']),
  ReleaseTrainingSession: fn(19, 0, 'void', ['handle']),
  ReleaseCheckpointState: fn(20, 0, 'void', ['handle']),
  // (session, path, output count, output names)
  ExportModelForInferencing: fn(21, 0, 'status', ['handle', 'path', 'size', 'bytes']),
  TrainingSessionGetTrainingModelInputCount: fn(23, 0, 'status', ['handle', 'bytes']),
  TrainingSessionGetTrainingModelInputName: fn(25, 0, 'status', ['handle', 'size', 'handle', 'bytes']),
  // (bytes, byte count, out checkpoint)
  LoadCheckpointFromBuffer: fn(29, 0, 'status', ['bytes', 'size', 'bytes']),
} as const;

export type TrainingFunctions = BoundFunctions<typeof TRAINING_FUNCTIONS>;

const MORE_FUNCTIONS = {
  // (severity, log id, out env)
  CreateEnv: fn(3, 0, 'status', ['int', 'string', 'bytes']),
  SetSessionLogSeverityLevel: fn(22, 0, 'status', ['handle', 'int']),
  // (info, out element type)
  GetTensorElementType: fn(60, 0, 'status', ['handle', 'bytes']),
  GetDimensionsCount: fn(61, 0, 'status', ['handle', 'bytes']),
  // (info, out dimensions, rank)
  GetDimensions: fn(62, 0, 'status', ['handle', 'bytes', 'size']),
  // (value, out info)
  GetTensorTypeAndShape: fn(65, 0, 'status', ['handle', 'bytes']),
  ReleaseTensorTypeAndShapeInfo: fn(99, 0, 'void', ['handle']),
} as const;

/** Functions of `OrtApi` that the version has. */
export const BASE_FUNCTIONS = {
  ...(Object.fromEntries(
    Object.entries(FUNCTIONS).filter(([, { since }]) => since <= TRAINING_API_VERSION),
  ) as unknown as typeof FUNCTIONS),
  ...MORE_FUNCTIONS,
};

/** Not to be called: those of the native runtime's functions that are younger. */
type Younger = 'SessionGetMemoryInfoForInputs' | 'GetTensorElementTypeAndShapeDataReference';

export type BaseFunctions = Omit<OrtFunctions, Younger> & BoundFunctions<typeof MORE_FUNCTIONS>;
