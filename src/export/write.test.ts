import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { noiseImages, smallRecipe, trainedWeights } from '../../test/support/small-recipe.js';
import { InputError, RunError } from '../errors.js';
import { float32, type NamedTensors } from '../files/tensor.js';
import { checkModel } from '../onnx/check.js';
import { decodeModel } from '../onnx/decode.js';
import { encodeModel } from '../onnx/encode.js';
import type { OnnxTensor } from '../onnx/model.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { floatsOf, floatTensor } from './readers.js';
import { writeExport } from './write.js';

let runtime: Runtime;
beforeAll(async () => void (runtime = await createNativeRuntime({ threads: 1 })));
afterAll(() => runtime.dispose());

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'hpff-export-'))));
afterEach(() => rm(folder, { recursive: true }));

const recipe = smallRecipe();
const weights = trainedWeights(recipe);
const images = noiseImages(recipe, 5);

/** A runtime that spoils one weight of every exported model before it loads it. */
function spoiling(change: (values: Float32Array) => void): Runtime {
  const spoil = (tensor: OnnxTensor): OnnxTensor => {
    if (tensor.name !== 'layer2.0.conv1.weight') return tensor;
    const values = floatsOf(tensor);
    change(values);
    return floatTensor(tensor.name, tensor.shape, values);
  };
  return {
    device: runtime.device,
    version: runtime.version,
    upload: (tensor) => runtime.upload(tensor),
    allocate: (dtype, shape) => runtime.allocate(dtype, shape),
    createSession: (bytes, options) => {
      if (options.name !== 'exported model') return runtime.createSession(bytes, options);
      const model = decodeModel(bytes, 'm');
      const initializers = model.graph.initializers.map(spoil);
      return runtime.createSession(encodeModel({ ...model, graph: { ...model.graph, initializers } }), options);
    },
    trim: () => {},
    dispose: () => {},
    [Symbol.dispose]: () => {},
  };
}

test('writes what it says it writes', async () => {
  const file = join(folder, 'm.onnx');
  const written = await writeExport(file, recipe, weights, images, runtime);
  const bytes = await readFile(file);
  expect(written).toEqual({ images: 5, maxRelativeDifference: expect.any(Number) as number, bytes: bytes.length });
  expect(written.maxRelativeDifference).toBeLessThan(1e-5);
  checkModel(decodeModel(bytes, file));
  expect(await readdir(folder)).toEqual(['m.onnx']);
});

test('replaces a file that is there', async () => {
  const file = join(folder, 'm.onnx');
  await writeFile(file, 'old');
  const { bytes } = await writeExport(file, recipe, weights, images, runtime);
  expect((await readFile(file)).length).toBe(bytes);
});

test.each<[string, (values: Float32Array) => void]>([
  ['slightly wrong', (values) => values.forEach((value, i) => (values[i] = value * 1.002))],
  ['quite wrong', (values) => values.fill(0)],
  ['NaN', (values) => (values[0] = NaN)],
])('a model with a weight that is %s is not written, and the old file stays', async (_, change) => {
  const file = join(folder, 'm.onnx');
  const attempt = (): Promise<unknown> => writeExport(file, recipe, weights, images, spoiling(change));
  await expect(attempt()).rejects.toThrow(RunError);
  await expect(attempt()).rejects.toMatchObject({ code: 'EXPORT_DIFFERS' });
  expect(existsSync(file)).toBe(false);
  await writeFile(file, 'old');
  await expect(attempt()).rejects.toThrow(RunError);
  expect(await readFile(file, 'utf8')).toBe('old');
  expect(await readdir(folder)).toEqual(['m.onnx']);
});

test('the runtime that spoils nothing passes', async () => {
  await writeExport(
    join(folder, 'm.onnx'),
    recipe,
    weights,
    images,
    spoiling(() => {}),
  );
});

test.each([
  ['fc.bias', NaN],
  ['stem.bn.running_var', -1],
  ['layer1.0.conv1.weight', Infinity],
])('weights that have diverged (%s: %d) are refused', async (name, value) => {
  const diverged: NamedTensors = new Map(weights);
  const { shape, data } = weights.get(name)!;
  diverged.set(name, float32(shape, (data as Float32Array).slice().fill(value, 0, 1)));
  const attempt = writeExport(join(folder, 'm.onnx'), recipe, diverged, images, runtime);
  await expect(attempt).rejects.toMatchObject({ code: 'EXPORT_NOT_FINITE', exitCode: 1 });
  expect(await readdir(folder)).toEqual([]);
});

test('a place that cannot be written is an input error', async () => {
  const attempt = writeExport(join(folder, 'none', 'm.onnx'), recipe, weights, images, runtime);
  await expect(attempt).rejects.toThrow(InputError);
});
