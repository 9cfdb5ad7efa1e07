/**
 * The checkpoint file of ONNX Runtime's training API: a flatbuffer, `ort_training_checkpoint.fbs` in its sources. Here are the places of the fields in
 * their tables, in the order of that schema.
 */
import type { NamedTensors } from '../tensor.js';

export const IDENTIFIER = 'ODTC';
/** Version of the format that ONNX Runtime 1.19.2 reads and writes. */
export const VERSION = 2;

export const CHECKPOINT = { fields: 4, version: 0, moduleState: 1, optimizerGroups: 2, propertyBag: 3 } as const;
export const MODULE_STATE = { fields: 4, trainable: 0, frozen: 1, nominal: 2, externalData: 3 } as const;
export const OPTIMIZER_GROUP = { fields: 4, name: 0, step: 1, initialLearningRate: 2, states: 3 } as const;
export const PARAMETER_STATE = { fields: 2, parameter: 0, moments: 1 } as const;
export const TENSOR = { fields: 7, name: 0, shape: 2, dataType: 3, rawData: 4, strings: 5, externalOffset: 6 } as const;
export const PROPERTY_BAG = { fields: 3, ints: 0, floats: 1, strings: 2 } as const;
export const PROPERTY = { fields: 2, name: 0, value: 1 } as const;

/** The one group that ONNX Runtime has parameters in. */
export const GROUP = 'group0';

/** Element types by their code in the file. */
export const DATA_TYPES = { 1: 'float32', 2: 'uint8', 6: 'int32', 7: 'int64', 9: 'bool' } as const;

/** What ONNX Runtime's optimizers keep. */
export interface OptimizerState {
  /** Optimizer steps done. */
  readonly step: number;
  readonly initialLearningRate: number;
  /** By parameter, then by ONNX Runtime's name of the moment, e.g. `momentum0`. Empty: they begin at zero. */
  readonly moments: ReadonlyMap<string, NamedTensors>;
}

/** The content of a checkpoint file. */
export interface OrtCheckpoint {
  /** Parameters that are trained. */
  readonly trainable: NamedTensors;
  /** The others: running statistics, and what hpff's graphs keep beside. */
  readonly frozen: NamedTensors;
  readonly optimizer: OptimizerState | null;
  /** What users have added, by name; whole numbers are bigints. */
  readonly properties: ReadonlyMap<string, number | bigint | string>;
}
