/**
 * The part of onnxruntime-web's training API that is used, and how it is found. The package is there under a name of its own, beside the current
 * onnxruntime-web: 1.19.2 is the last version that has the API.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { InputError } from '../../errors.js';
import type { TypedArrays } from '../../files/tensor.js';
import { trainingRuntime } from '../../lower/index.js';

/** Name under which package.json has onnxruntime-web 1.19.2. */
const packageName = 'onnxruntime-web-training';

export type WebData = TypedArrays[keyof TypedArrays];

export interface WebTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: WebData;
}

export type WebTensors = Readonly<Record<string, WebTensor>>;

export interface WebTrainingSession {
  readonly trainingInputNames: readonly string[];
  readonly trainingOutputNames: readonly string[];
  runTrainStep(feeds: WebTensors): Promise<WebTensors>;
  runOptimizerStep(): Promise<void>;
  lazyResetGrad(): Promise<void>;
  readonly evalInputNames: readonly string[];
  readonly evalOutputNames: readonly string[];
  runEvalStep(feeds: WebTensors): Promise<WebTensors>;
  release(): Promise<void>;
}

interface SessionOptions {
  /** 3: errors only. */
  readonly logSeverityLevel: number;
}

export interface WebApi {
  readonly env: { logLevel: string; readonly wasm: { numThreads: number } };
  readonly Tensor: new (type: string, data: WebData, dims: readonly number[]) => WebTensor;
  readonly TrainingSession: {
    create(
      files: {
        readonly checkpointState: Uint8Array;
        readonly trainModel: Uint8Array;
        readonly evalModel: Uint8Array;
        readonly optimizerModel: Uint8Array;
      },
      options: SessionOptions,
    ): Promise<WebTrainingSession>;
  };
}

/**
 * Loads the package's training build.
 * @throws InputError `TRAINING_PACKAGE` if it is not installed, or in another version
 */
export function loadWebApi(): WebApi {
  const require = createRequire(import.meta.url);
  const remedy = `npm install ${packageName}@npm:onnxruntime-web@${trainingRuntime}`;
  let folder: string;
  try {
    // It exports its training build to browsers only; the main file lies beside it.
    folder = path.dirname(require.resolve(packageName));
  } catch (cause) {
    throw new InputError('TRAINING_PACKAGE', `package ${packageName} is not installed: ${remedy}`, { cause });
  }
  const file = path.join(folder, 'ort.training.wasm.min.js');
  const { version } = JSON.parse(readFileSync(path.join(folder, '../package.json'), 'utf8')) as { version: string };
  if (version !== trainingRuntime || !existsSync(file)) {
    throw new InputError(
      'TRAINING_PACKAGE',
      `package ${packageName}: found onnxruntime-web ${version}, allowed: ${trainingRuntime} (${remedy})`,
    );
  }
  return require(file) as WebApi;
}
