/** Runs a model once, straight through onnxruntime-node, as it stands: no graph optimization. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
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
  const tensors = Object.fromEntries(model.graph.inputs.map(({ name }) => [name, tensorOf(feeds.get(name)!)]));
  const results = await session.run(tensors);
  await session.release();
  return new Map(
    Object.entries(results).map(([name, { dims, data }]) => [
      name,
      { shape: dims, data: data as Float32Array | BigInt64Array },
    ]),
  );
}

function tensorOf({ shape, data }: Feed): Tensor {
  return data instanceof BigInt64Array
    ? new Tensor('int64', data, [...shape])
    : new Tensor('float32', Float32Array.from(data), [...shape]);
}
