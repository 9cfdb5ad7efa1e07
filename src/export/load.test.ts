import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import onnxProto from 'onnx-proto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { int64Tensor } from '../../test/onnx-models.js';
import { type SmallModel, smallModel } from '../../test/small-models.js';
import { noiseImages, smallRecipe, trainedWeights } from '../../test/support/small-recipe.js';
import { InputError, UsageError } from '../errors.js';
import { float32 } from '../files/tensor.js';
import { decodeModel } from '../onnx/decode.js';
import { encodeModel } from '../onnx/encode.js';
import type { OnnxModel } from '../onnx/model.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { exportModel, loadClassifier } from './index.js';
import { floatTensor } from './readers.js';

let runtime: Runtime;
beforeAll(async () => void (runtime = await createNativeRuntime({ threads: 1 })));
afterAll(() => runtime.dispose()); // throws if a session or tensor was left alive

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'hpff-load-'))));
afterEach(() => rm(folder, { recursive: true }));

async function file(content: Uint8Array | OnnxModel): Promise<string> {
  const path = join(folder, 'm.onnx');
  await writeFile(path, content instanceof Uint8Array ? content : encodeModel(content));
  return path;
}

/** Scores are the pixels: [N, 1, 1, 3] → [N, 3]. */
const pixels = (changes: Partial<SmallModel> = {}): Uint8Array =>
  smallModel({
    inputs: { x: ['N', 1, 1, 3] },
    outputs: { y: ['N', 3] },
    nodes: [['Flatten', ['x'], ['y'], { axis: 1 }]],
    ...changes,
  });

const ramp = (count: number) =>
  float32(
    [count, 1, 1, 3],
    Array.from({ length: count * 3 }, (_, i) => i),
  );

test('an exported model: its recipe, its sizes, its scores for any number of images', async () => {
  const recipe = smallRecipe();
  using classifier = await loadClassifier(await file(exportModel(recipe, trainedWeights(recipe))), runtime);
  expect(classifier).toMatchObject({ recipe, image: [1, 8, 8], classes: 10 });
  const images = noiseImages(recipe, 7);
  const seven = await classifier.score(images);
  expect(seven.length).toBe(70);
  const third = await classifier.score(float32([1, 1, 8, 8], images.data.slice(2 * 64, 3 * 64)));
  third.forEach((score, i) => expect(score).toBeCloseTo(seven[20 + i]!, 5));
});

test('a model of another tool has no recipe', async () => {
  using classifier = await loadClassifier(await file(pixels()), runtime);
  expect(classifier).toMatchObject({ recipe: null, image: [1, 1, 3], classes: 3 });
  expect(await classifier.score(ramp(4))).toEqual(ramp(4).data);
});

test('a fixed batch is filled up', async () => {
  const fixed = pixels({ inputs: { x: [3, 1, 1, 3] }, outputs: { y: [3, 3] } });
  using classifier = await loadClassifier(await file(fixed), runtime);
  for (const count of [1, 3, 7]) expect(await classifier.score(ramp(count))).toEqual(ramp(count).data);
});

test('classes that the file leaves open are found by running it', async () => {
  for (const shape of [null, ['N', 'classes']]) {
    const open = pixels({ outputs: { y: { dtype: 'float32', shape } } });
    using classifier = await loadClassifier(await file(open), runtime);
    expect(classifier.classes).toBe(3);
  }
});

test('weights that are inputs, too, are no inputs', async () => {
  const model = pixels({
    inputs: { x: ['N', 1, 1, 3], w: [3] },
    nodes: [
      ['Flatten', ['x'], ['f'], { axis: 1 }],
      ['Mul', ['f', 'w'], ['y']],
    ],
    initializers: [floatTensor('w', [3], Float32Array.of(1, 10, 100))],
  });
  using classifier = await loadClassifier(await file(model), runtime);
  expect(await classifier.score(ramp(1))).toEqual(Float32Array.of(0, 10, 200));
});

test('weights in a file beside the model are taken in', async () => {
  const model = pixels({
    nodes: [
      ['Flatten', ['x'], ['f'], { axis: 1 }],
      ['Mul', ['f', 'w'], ['y']],
    ],
    initializers: [floatTensor('w', [3], new Float32Array(3))],
  });
  const path = await file(weightsOutside(model, 'w.bin'));
  await writeFile(join(folder, 'w.bin'), new Uint8Array(Float32Array.of(9, 1, 10, 100).buffer));
  using classifier = await loadClassifier(path, runtime);
  expect(await classifier.score(ramp(1))).toEqual(Float32Array.of(0, 10, 200));
  await rm(join(folder, 'w.bin'));
  await expect(loadClassifier(path, runtime)).rejects.toMatchObject({ code: 'ONNX_EXTERNAL_DATA' });
});

test('images of another size are a misuse', async () => {
  using classifier = await loadClassifier(await file(pixels()), runtime);
  for (const shape of [[1, 1, 3, 1], [0, 1, 1, 3], [3], []]) {
    const image = float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));
    await expect(classifier.score(image)).rejects.toThrow(UsageError);
  }
});

describe('refused:', () => {
  test.each<[string, () => Uint8Array | OnnxModel, string, string]>([
    ['no ONNX', () => Buffer.from('{"not": "onnx"}'), 'ONNX_INVALID', ''],
    ['an empty file', () => new Uint8Array(0), 'ONNX_INVALID', ''],
    ['a truncated model', () => pixels().subarray(0, 40), 'ONNX_INVALID', ''],
    ['a broken graph', () => pixels({ nodes: [['Flatten', ['z'], ['y']]] }), 'ONNX_CHECK', ''],
    [
      'two inputs',
      () => pixels({ inputs: { x: ['N', 1, 1, 3], z: ['N'] } }),
      'CLASSIFIER_INPUT',
      'inputs: found "x" float32 [N, 1, 1, 3], "z" float32 [N], ' +
        'allowed: one float32 input [N, channels, height, width], all but N fixed, of at most 67108864 elements',
    ],
    ['no input', () => constantModel(), 'CLASSIFIER_INPUT', 'inputs: found none, allowed: one float32 input'],
    [
      'a flat input',
      () => pixels({ inputs: { x: ['N', 3] } }),
      'CLASSIFIER_INPUT',
      'found "x" float32 [N, 3], allowed',
    ],
    [
      'bytes',
      () => pixels({ inputs: { x: { dtype: 'uint8', shape: ['N', 1, 1, 3] } } }),
      'CLASSIFIER_INPUT',
      'found "x" uint8 [N, 1, 1, 3], allowed',
    ],
    [
      'an open size',
      () => pixels({ inputs: { x: ['N', 1, 'h', 3] } }),
      'CLASSIFIER_INPUT',
      'found "x" float32 [N, 1, h, 3]',
    ],
    [
      'no pixels',
      () => pixels({ inputs: { x: ['N', 0, 1, 3] } }),
      'CLASSIFIER_INPUT',
      'found "x" float32 [N, 0, 1, 3]',
    ],
    [
      'a huge image',
      () => pixels({ inputs: { x: ['N', 3, 2 ** 14, 2 ** 14] } }),
      'CLASSIFIER_INPUT',
      'found "x" float32 [N, 3, 16384, 16384]',
    ],
    [
      'two outputs',
      () => pixels({ outputs: { y: ['N', 3], x: ['N', 1, 1, 3] } }),
      'CLASSIFIER_OUTPUT',
      'outputs: found "y" float32 [N, 3], "x" float32 [N, 1, 1, 3], allowed: one float32 output [N, classes]',
    ],
    [
      'a map as output',
      () => pixels({ nodes: [['Relu', ['x'], ['y']]], outputs: { y: ['N', 1, 1, 3] } }),
      'CLASSIFIER_OUTPUT',
      'found "y" float32 [N, 1, 1, 3], allowed',
    ],
    [
      'a map as output that the file does not tell',
      () => pixels({ nodes: [['Relu', ['x'], ['y']]], outputs: { y: { dtype: 'float32', shape: null } } }),
      'CLASSIFIER_OUTPUT',
      'output "y" for a batch of 1: found float32 [1, 1, 1, 3], allowed: float32 [1, classes]',
    ],
    [
      'a class as output',
      () =>
        pixels({
          nodes: [
            ['Flatten', ['x'], ['f'], { axis: 1 }],
            ['ArgMax', ['f'], ['y'], { axis: 1 }],
          ],
          outputs: { y: { dtype: 'int64', shape: ['N', 1] } },
        }),
      'CLASSIFIER_OUTPUT',
      'found "y" int64 [N, 1], allowed',
    ],
    [
      'an operator that ONNX Runtime does not have',
      () => withDomain(decodeModel(pixels(), 'm')),
      'MODEL_REJECTED',
      'ONNX Runtime refused the model',
    ],
    [
      'a model that does not run',
      () =>
        pixels({
          nodes: [['Reshape', ['x', 'shape'], ['y']]],
          initializers: [int64Tensor('shape', [2], [5n, 5n])],
        }),
      'CLASSIFIER_BROKEN',
      'cannot be run on a black image of its own size',
    ],
    [
      'a broken recipe',
      () => ({ ...decodeModel(pixels(), 'm'), metadata: { 'hpff.recipe': '{"name": 1}' } }),
      'RECIPE_INVALID',
      'metadata hpff.recipe',
    ],
    [
      'a recipe that is no JSON',
      () => ({ ...decodeModel(pixels(), 'm'), metadata: { 'hpff.recipe': '{' } }),
      'JSON_INVALID',
      'metadata hpff.recipe',
    ],
  ])('%s', async (_, content, code, message) => {
    const path = await file(content());
    const error: unknown = await loadClassifier(path, runtime).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string });
    expect((error as InputError).message).toContain(path);
    expect((error as InputError).message).not.toContain('\n');
  });

  test('a file that is not there', async () => {
    await expect(loadClassifier(join(folder, 'none.onnx'), runtime)).rejects.toMatchObject({ code: 'FILE_MISSING' });
  });
});

function constantModel(): Uint8Array {
  return smallModel({
    inputs: {},
    outputs: { y: [1, 3] },
    nodes: [['Identity', ['w'], ['y']]],
    initializers: [floatTensor('w', [1, 3], Float32Array.of(1, 2, 3))],
  });
}

/** The model with its initializer kept in another file, from byte 4 on. */
function weightsOutside(bytes: Uint8Array, location: string): Uint8Array {
  const { ModelProto, TensorProto } = onnxProto.onnx;
  const model = ModelProto.decode(bytes);
  const [tensor] = model.graph!.initializer!;
  tensor!.rawData = null;
  tensor!.dataLocation = TensorProto.DataLocation.EXTERNAL;
  tensor!.externalData = [
    { key: 'location', value: location },
    { key: 'offset', value: '4' },
  ];
  return ModelProto.encode(model).finish();
}

function withDomain(model: OnnxModel): OnnxModel {
  const nodes = model.graph.nodes.map((node) => ({ ...node, domain: 'nobody.knows', opType: 'Mystery' }));
  return { ...model, opsets: { ...model.opsets, 'nobody.knows': 1 }, graph: { ...model.graph, nodes } };
}
