/** The part of ONNX Runtime's JavaScript API that is used, as onnxruntime-web and onnxruntime-node have it. */
import type { DType, TypedArrays } from '../../files/tensor.js';

export type OrtData = TypedArrays[DType];

export interface OrtTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

export interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, never>>, fetches: readonly string[]): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

export interface OrtSessionOptions {
  readonly executionProviders: readonly string[];
  readonly graphOptimizationLevel: 'disabled' | 'basic' | 'extended' | 'all';
  /** 3: errors only. */
  readonly logSeverityLevel: 3;
}

/** e.g. `import * as ort from 'onnxruntime-web'`. */
export interface Ort {
  readonly env: {
    readonly versions: { readonly common: string; readonly web?: string; readonly node?: string };
    readonly wasm: { readonly proxy?: boolean };
  };
  readonly InferenceSession: { create(model: Uint8Array, options: OrtSessionOptions): Promise<OrtSession> };
  readonly Tensor: new (type: DType, data: never, dims: readonly number[]) => OrtTensor;
}
