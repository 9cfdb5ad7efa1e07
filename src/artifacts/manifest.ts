/** The manifest: what the graphs of a training step are, and what each of their inputs and outputs means. */
import type { DType } from '../files/tensor.js';
import type { Phase } from '../local/index.js';
import type { StepScalar } from '../nn/index.js';
import type { Recipe } from '../recipe/types.js';

/** Version of the artifact folder's format. */
export const formatVersion = 1;

/** What an input or output of a graph stands for. */
export type Meaning =
  | 'image'
  | 'label'
  /** A float32 number of the step, such as the learning rate. */
  | 'scalar'
  | 'parameter'
  /** Batch-norm running mean or variance. */
  | 'statistic'
  /** Kept by the optimizer, e.g. momentum. */
  | 'optimizer-state'
  /** Output of a module, input of the next. */
  | 'feature'
  /** Activation kept from the forward pass for the backward passes of the same module. */
  | 'stash'
  /** Gradient at a module's output from its own heads. */
  | 'cotangent'
  /** Gradient at a module's output that its neighbour above sends back. */
  | 'relay'
  | 'loss'
  | 'gradient'
  | 'logits'
  /** Of the training artifacts of ONNX Runtime: what gradients are added up in, */
  | 'gradient-buffer'
  /** several tensors in one, of all parameters, */
  | 'sequence'
  /** what says that something is to be overwritten, or has been. */
  | 'flag';

export interface Port {
  readonly name: string;
  readonly dtype: DType;
  /** A text stands for a dimension that is known only at run time. */
  readonly shape: readonly (number | string)[];
  readonly meaning: Meaning;
}

export interface OutputPort extends Port {
  /** The parameter, statistic or optimizer state whose next value this is. */
  readonly updates?: string;
  /** Whether it may be written over the input that it updates. */
  readonly inPlace?: boolean;
}

/** Models of a training session of ONNX Runtime. */
export type TrainingPhase = 'training' | 'evaluation' | 'optimizer';

export interface GraphEntry {
  /** Path in the artifact folder. */
  readonly file: string;
  /** null: the graph covers all modules. */
  readonly module: number | null;
  readonly phase: Phase | 'step' | 'eval' | TrainingPhase;
  readonly inputs: readonly Port[];
  readonly outputs: readonly OutputPort[];
}

export interface ParameterEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly kind: 'parameter' | 'statistic';
  /** Module that owns it. */
  readonly module: number;
}

export interface StateEntry {
  readonly name: string;
  /** Whose it is: a parameter, or a statistic for its moving average. */
  readonly parameter: string;
  readonly shape: readonly number[];
  /** What it starts as: the parameter's own value; absent: zeros. */
  readonly start?: 'parameter';
  /** Worth nothing between two steps: the sums of gradients over micro-batches. */
  readonly transient?: true;
}

export interface ModuleEntry {
  readonly index: number;
  /** Parts of the trunk in this module, in order: stem, blocks, fc. */
  readonly blocks: readonly string[];
  readonly parameters: readonly string[];
  readonly headParameters: readonly string[];
}

export interface LossEntry {
  readonly name: string;
  /** In the total. */
  readonly weight: number;
}

export interface Manifest {
  readonly formatVersion: number;
  readonly producer: string;
  readonly recipe: Recipe;
  readonly lowering: string;
  /** Versions of ONNX Runtime that can run the graphs. */
  readonly onnxRuntime: string;
  /** Images per step. */
  readonly batch: number;
  /** Images per run of the graphs, where a step has several runs (gradient accumulation). */
  readonly microBatch?: number;
  readonly scalars: readonly StepScalar[];
  readonly modules: readonly ModuleEntry[];
  readonly parameters: readonly ParameterEntry[];
  readonly states: readonly StateEntry[];
  readonly losses: readonly LossEntry[];
  /** Graphs of the modules in the order of a synchronous step, the fused step, the trunk in inference mode. */
  readonly graphs: readonly GraphEntry[];
}

/** Images that a run of the graphs takes. */
export const imagesPerRun = ({ batch, microBatch }: Manifest): number => microBatch ?? batch;

/** Runs of the graphs in a step. */
export const runsPerStep = (manifest: Manifest): number => manifest.batch / imagesPerRun(manifest);
