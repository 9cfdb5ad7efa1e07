/** What the training loop needs of a schedule: steps, and the state to save and restore. */
import type { Batch } from '../data/dataset.js';
import type { NamedTensors } from '../files/tensor.js';

export interface StepReport {
  /** `<module>/<independent|cascade|final>/<classifier|decoder>` → loss before weighting. */
  readonly losses: ReadonlyMap<string, number>;
  /** Weighted sum of all losses. */
  readonly total: number;
}

export interface TrainEngine {
  /** One optimizer step. @param learningRate of this step @param step 1-based count of optimizer steps, this one included */
  step(batch: Batch, learningRate: number, step: number): Promise<StepReport>;
  /** Parameters and batch-norm running statistics, by their names. */
  readWeights(): NamedTensors;
  /** Optimizer state: `momentum/<parameter>`, or `adam.m/<parameter>` and `adam.v/<parameter>`. */
  readOptimizer(): NamedTensors;
  /** Replaces the state; names, shapes and types must be those of the manifest (`checkWeights`). */
  load(weights: NamedTensors, optimizer?: NamedTensors): void;
  /** Class scores of the trunk in inference mode for a batch of any size. @returns float32 [N, classes] */
  evaluate(image: Batch['image']): Promise<Float32Array>;
  dispose(): void;
}
