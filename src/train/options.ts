/** What a training can be told. */
import type { ClusterOptions } from '../cluster/index.js';
import { UsageError } from '../errors.js';
import type { NamedTensors } from '../files/tensor.js';
import type { EngineOptions } from '../pipeline/index.js';

/** What to do where a loss or a weight is NaN or infinite. */
export const nanPolicies = ['stop', 'skip', 'rollback'] as const;
export type NanPolicy = (typeof nanPolicies)[number];

export interface TrainOptions extends Pick<
  EngineOptions,
  | 'schedule'
  | 'delay'
  | 'stages'
  | 'balance'
  | 'lowering'
  | 'device'
  | 'threads'
  | 'backend'
  | 'ortLibrary'
  | 'trace'
  | 'note'
> {
  /** The run folder. */
  readonly folder: string;
  /** Of the schedule `async`: a file for a Chrome trace of what its stages do; it is replaced. */
  readonly traceFile?: string;
  /** Train on the workers of a NATS server, by the schedule `async`; `stages` and `device` are then the workers'. */
  readonly cluster?: ClusterOptions;
  /** Folder of the data set's files; needed where they are not bundled. */
  readonly data?: string;
  /** Epochs to train, instead of the recipe's; the learning rate follows. */
  readonly epochs?: number;
  /** Optimizer steps of the whole run, those before a resume included, at which to stop if its epochs have more. */
  readonly steps?: number;
  /** Instead of the recipe's. */
  readonly seed?: number;
  /** All parameters and statistics that a new run begins with, such as those of `fitWeights`. Default: drawn from the seed. */
  readonly weights?: NamedTensors;
  /** Go on with the run in the folder. Default: begin a new one. */
  readonly resume?: boolean;
  /** Steps between checkpoints, besides those at the end of each epoch. Default 500. */
  readonly checkpointEvery?: number;
  /** Checkpoints to keep. Default 2. */
  readonly keepCheckpoints?: number;
  /** Steps in a line of metrics.jsonl; an epoch's last line may have fewer. Default 20. */
  readonly logEvery?: number;
  /**
   * Where a loss or a weight is NaN or infinite: `stop` (default) ends with an error, the last checkpoint being from before. The others go on from that
   * checkpoint: `skip` without the step that led there, `rollback` without any of the steps since, so with other images.
   */
  readonly onNan?: NanPolicy;
  /** Stops after the step in progress, with a checkpoint. */
  readonly signal?: AbortSignal;
}

/** How often things happen, in steps. */
export interface Pace {
  readonly checkpointEvery: number;
  readonly keepCheckpoints: number;
  readonly logEvery: number;
}

/** @throws UsageError `TRAIN_OPTION` for a number that is no whole number from 1, or a policy that is none */
export function paceOf(options: TrainOptions): Pace {
  for (const key of ['epochs', 'steps', 'checkpointEvery', 'keepCheckpoints', 'logEvery'] as const) {
    const value = options[key];
    if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) continue;
    throw new UsageError('TRAIN_OPTION', `train: ${key} is ${value}; allowed: a whole number from 1`);
  }
  const { onNan = 'stop' } = options;
  if (!nanPolicies.includes(onNan)) {
    throw new UsageError('TRAIN_OPTION', `train: onNan is ${String(onNan)}; allowed: ${nanPolicies.join(', ')}`);
  }
  const { checkpointEvery = 500, keepCheckpoints = 2, logEvery = 20 } = options;
  return { checkpointEvery, keepCheckpoints, logEvery };
}
