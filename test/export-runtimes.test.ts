/** Exported models in the runtimes that their users have: onnxruntime-node, and onnxruntime-web's WebAssembly. */
import * as node from 'onnxruntime-node';
import * as web from 'onnxruntime-web/wasm';
import { expect, test } from 'vitest';
import { exportModel, tolerance } from '../src/export/index.js';
import { trunkModel } from '../src/export/model.js';
import { encodeModel } from '../src/onnx/encode.js';
import type { HostTensor } from '../src/files/tensor.js';
import { runOnnx } from './run-onnx.js';
import { noiseImages, smallRecipe, trainedWeights } from './support/small-recipe.js';

web.env.wasm.numThreads = 1;

const recipe = smallRecipe({ depth: 14, widths: [8, 8, 16, 24], image: [1, 12, 12] });
const weights = trainedWeights(recipe);
const model = encodeModel(exportModel(recipe, weights));

interface Scores {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** The trunk with batch norm as it is and parameters as inputs, unoptimized. */
async function trunkScores(images: HostTensor<'float32'>): Promise<Float32Array> {
  const feeds = [...weights, ['image', images] as const].map(([name, { shape, data }]): [string, Feed] => [
    name,
    { shape, data: Float64Array.from(data as Float32Array) },
  ]);
  const results = await runOnnx(trunkModel(recipe), new Map(feeds));
  return results.get('logits')!.data as Float32Array;
}

type Feed = { shape: readonly number[]; data: Float64Array };

async function inNode({ shape, data }: HostTensor<'float32'>): Promise<Scores> {
  const session = await node.InferenceSession.create(model);
  expect([session.inputNames, session.outputNames]).toEqual([['image'], ['logits']]);
  const { logits } = await session.run({ image: new node.Tensor('float32', data, [...shape]) });
  await session.release();
  return { dims: logits!.dims, data: logits!.data as Float32Array };
}

async function inWeb({ shape, data }: HostTensor<'float32'>): Promise<Scores> {
  const session = await web.InferenceSession.create(model, { executionProviders: ['wasm'] });
  expect([session.inputNames, session.outputNames]).toEqual([['image'], ['logits']]);
  const { logits } = await session.run({ image: new web.Tensor('float32', data, [...shape]) });
  await session.release();
  return { dims: logits!.dims, data: logits!.data as Float32Array };
}

test.each([
  ['onnxruntime-node', inNode, 1],
  ['onnxruntime-node', inNode, 7],
  ['onnxruntime-web', inWeb, 1],
  ['onnxruntime-web', inWeb, 7],
])('%s gives the scores of the trained trunk', async (_, run, count) => {
  const images = noiseImages(recipe, count);
  const expected = await trunkScores(images);
  const { dims, data } = await run(images);
  expect(dims).toEqual([count, 10]);
  const largest = Math.max(...expected.map(Math.abs));
  expect(largest).toBeGreaterThan(0.1);
  data.forEach((score, i) => expect(Math.abs(score - expected[i]!)).toBeLessThan(tolerance * largest));
});
