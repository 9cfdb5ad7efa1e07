/** Runs a model once, straight through onnxruntime-node or onnxruntime-web, as it stands: no graph optimization. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import * as web from 'onnxruntime-web/wasm';
import { encodeModel } from '../src/onnx/encode.js';
import type { OnnxModel } from '../src/onnx/model.js';

export interface Feed {
  readonly shape: readonly number[];
  readonly data: Float64Array | BigInt64Array;
}

export interface Result {
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

export async function runOnnx(
  model: OnnxModel,
  feeds: ReadonlyMap<string, Feed>,
  threads = 1,
): Promise<ReadonlyMap<string, Result>> {
  const session = await InferenceSession.create(encodeModel(model), {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: threads,
    logSeverityLevel: 3,
    // Threads beyond the cores would else hinder each other.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  return runOnce(session, feeds, Tensor);
}

/** The same in the runtime of browsers, its WebAssembly. */
export async function runInWeb(
  model: OnnxModel,
  feeds: ReadonlyMap<string, Feed>,
): Promise<ReadonlyMap<string, Result>> {
  web.env.wasm.numThreads = 1;
  const session = await web.InferenceSession.create(encodeModel(model), {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
  });
  return runOnce(session, feeds, web.Tensor);
}

async function runOnce(
  session: InferenceSession,
  feeds: ReadonlyMap<string, Feed>,
  OrtTensor: typeof Tensor,
): Promise<ReadonlyMap<string, Result>> {
  const tensorOf = ({ shape, data }: Feed): Tensor =>
    data instanceof BigInt64Array
      ? new OrtTensor('int64', data, [...shape])
      : new OrtTensor('float32', Float32Array.from(data), [...shape]);
  const tensors = Object.fromEntries(session.inputNames.map((name) => [name, tensorOf(feeds.get(name)!)]));
  const results = await session.run(tensors);
  await session.release();
  return new Map(
    Object.entries(results).map(([name, { dims, data }]) => [
      name,
      { shape: dims, data: data as Float32Array | BigInt64Array },
    ]),
  );
}
