/** What the training loop needs of a schedule: runs of steps, and the state to save and restore. */
import type { Batch } from '../data/dataset.js';
import type { NamedTensors } from '../files/tensor.js';
import type { GraphEntry } from '../artifacts/index.js';
import type { RunProfile } from '../runtime/runtime.js';

export interface StepInput {
  readonly batch: Batch;
  readonly learningRate: number;
}

export interface StepLosses {
  /** `<module>/<independent|cascade|final>/<classifier|decoder>` → loss before weighting. */
  readonly losses: ReadonlyMap<string, number>;
  /** Weighted sum of all losses. */
  readonly total: number;
}

export interface StepReport extends StepLosses {
  /** By the parameter's name; empty unless they were asked for. */
  readonly gradients: NamedTensors;
}

/** Consecutive optimizer steps. When they are over, every module has made all its updates. */
export interface StepRun {
  /** 1-based count of the updates of the whole training, that of the first step here included. */
  readonly first: number;
  /** What the next step takes; undefined where there is none. It is asked as soon as there is room, never twice at a time. */
  readonly next: () => Promise<StepInput | undefined>;
  /** Takes what a step gave when all modules are through with it, in the order of steps. An error ends the run. */
  readonly report?: (report: StepReport, step: number) => void | Promise<void>;
  /** Whether a step shall give the gradient of every parameter; the graphs must have been built with them. Default: none shall. */
  readonly wantsGradients?: (step: number) => boolean;
}

/** What a stage of the pipeline did with its time. */
export interface StageTimes {
  /** Indices of its modules. */
  readonly modules: readonly number[];
  /** Running graphs. */
  readonly busySeconds: number;
  /** With nothing to run: inputs had not come yet. */
  readonly waitingSeconds: number;
  /** Of that, moving values between machines or devices; other work goes on meanwhile. */
  readonly transferSeconds: number;
}

/** What the runs of one task took. */
export interface TaskProfile {
  readonly task: GraphEntry;
  /** Of each step since the graphs were loaded. */
  readonly runs: readonly RunProfile[];
}

export interface TrainEngine {
  /** Batches by which updates are late: where a run of steps ends then matters for what comes after. */
  readonly delay: number;
  run(run: StepRun): Promise<void>;
  /** A run of one step. @param step 1-based count of optimizer steps, this one included @param gradients whether it gives them */
  step(batch: Batch, learningRate: number, step: number, gradients?: boolean): Promise<StepReport>;
  /** Parameters and batch-norm running statistics, by their names; between runs only. */
  readWeights(): Promise<NamedTensors>;
  /** Optimizer state: `momentum/<parameter>`, or `adam.m/<parameter>` and `adam.v/<parameter>`; moving averages `ema/<parameter or statistic>`. */
  readOptimizer(): Promise<NamedTensors>;
  /** Replaces the state; names, shapes and types must be those of the manifest (`checkWeights`). Without `optimizer` its state is that of a first step. */
  load(weights: NamedTensors, optimizer?: NamedTensors): void;
  /** Class scores of the trunk in inference mode, with moving averages where there are any, for a batch of any size. @returns float32 [N, classes] */
  evaluate(image: Batch['image']): Promise<Float32Array>;
  /** Times of each stage since the last call; none where there are no stages. */
  takeTimes(): StageTimes[];
  /**
   * Ends measuring nodes. Engines that cannot measure them lack it. @returns every task, in the order of a step
   * @throws UsageError where the engine does not measure them, or its runtime cannot
   */
  endProfile?(): Promise<TaskProfile[]>;
  dispose(): void;
}

/** What `TrainEngine.step` does. */
export async function runOneStep(
  engine: Pick<TrainEngine, 'run'>,
  input: StepInput,
  step: number,
  gradients = false,
): Promise<StepReport> {
  let left: StepInput | undefined = input;
  let found: StepReport | undefined;
  await engine.run({
    first: step,
    next: async () => {
      const given = left;
      left = undefined;
      return given;
    },
    report: (report) => void (found = report),
    wantsGradients: () => gradients,
  });
  return found!;
}
