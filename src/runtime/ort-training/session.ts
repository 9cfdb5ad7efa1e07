/** A training session of ONNX Runtime, whichever library runs it. */
import type { OrtCheckpoint } from '../../files/ort-checkpoint/index.js';
import type { NamedTensors } from '../../files/tensor.js';

/** What a session is made of: the files of one local module. */
export interface SessionFiles {
  /** For messages, e.g. `module 3`. */
  readonly name: string;
  readonly trainingModel: Uint8Array;
  readonly evaluationModel: Uint8Array;
  readonly optimizerModel: Uint8Array;
  readonly checkpoint: Uint8Array;
  /** For `forward`: the module's output, given its input and its parameters; null where it is not asked for. */
  readonly forwardModel: Uint8Array | null;
  /** For libraries that are not `complete`, in the evaluation model's place: all that the session holds as one vector, and what `forwardModel` gives. */
  readonly probeModel: () => Uint8Array;
  /** Names and shapes of all that the checkpoint holds, in the order of the training model's inputs. */
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

export interface TrainingSession {
  /** What `trainStep` takes. */
  readonly inputs: readonly string[];
  /**
   * Forward and backward pass; gradients go into the session's buffers.
   * @param feeds more than `inputs` may be there
   * @returns the training model's outputs
   */
  trainStep(feeds: NamedTensors): Promise<NamedTensors>;
  /** Updates the parameters with the gradients in the buffers. */
  optimizerStep(): Promise<void>;
  /** Has the next `trainStep` overwrite the buffers instead of adding to them. */
  lazyResetGrad(): Promise<void>;
  /** Absent where the library cannot: the optimizer model then has to bring its rates along. */
  setLearningRate?(rate: number): void;
  /** Runs the forward model with the parameters as they are. */
  forward(feeds: NamedTensors): Promise<NamedTensors>;
  /** Parameters and what the training model keeps. */
  readTensors(): Promise<NamedTensors>;
  /** With the state of ONNX Runtime's optimizer. Absent where the library cannot read it. */
  readCheckpoint?(): Promise<OrtCheckpoint>;
  /** Writes the evaluation model with the parameters in it, as the library does. Absent where it cannot. */
  exportModel?(file: string, outputs: readonly string[]): Promise<void>;
  dispose(): Promise<void>;
}

/** A library that trains. */
export interface TrainingLibrary {
  /** In words, e.g. `onnxruntime-web 1.19.2 (WebAssembly)`. */
  readonly name: string;
  /** Of ONNX Runtime, e.g. `1.19.2`. */
  readonly version: string;
  /** That a session computes with. */
  readonly threads: number;
  /** Whether sessions have `setLearningRate`, `readCheckpoint` and `exportModel`. */
  readonly complete: boolean;
  createSession(files: SessionFiles): Promise<TrainingSession>;
  dispose(): void;
}
