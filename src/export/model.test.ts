import { afterAll, beforeAll, expect, test } from 'vitest';
import { noiseImages, smallRecipe, trainedWeights } from '../../test/support/small-recipe.js';
import { checkModel } from '../onnx/check.js';
import { decodeModel } from '../onnx/decode.js';
import { encodeModel } from '../onnx/encode.js';
import { type NetworkConfig, parseRecipe } from '../recipe/index.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { exportModel, verifyExport } from './index.js';

let runtime: Runtime;
beforeAll(async () => void (runtime = await createNativeRuntime({ threads: 1 })));
afterAll(() => runtime.dispose());

test('a valid model of standard operators: no heads, no batch norm, nothing of training', () => {
  const recipe = smallRecipe();
  const model = exportModel(recipe, trainedWeights(recipe));
  checkModel(model);
  expect(model.opsets).toEqual({ '': 13 });
  expect(model.irVersion).toBe(7);
  const counts: Record<string, number> = {};
  for (const { opType, domain } of model.graph.nodes) {
    expect(domain).toBe('');
    counts[opType] = (counts[opType] ?? 0) + 1;
  }
  expect(counts).toEqual({ Conv: 9, Relu: 7, Add: 3, GlobalAveragePool: 1, Flatten: 1, Gemm: 1 });
});

test('input, output and weights have their names; the batch is open', () => {
  const recipe = smallRecipe();
  const { graph } = exportModel(recipe, trainedWeights(recipe));
  expect(graph.inputs).toEqual([{ name: 'image', dtype: 'float32', shape: ['batch', 1, 8, 8] }]);
  expect(graph.outputs).toEqual([{ name: 'logits', dtype: 'float32', shape: ['batch', 10] }]);
  const conv = (name: string, shape: string): string[] => [
    `${name}.weight ${shape}`,
    `${name}.bias ${shape.split('×')[0]}`,
  ];
  expect(graph.initializers.map(({ name, shape }) => `${name} ${shape.join('×')}`)).toEqual([
    ...conv('stem.conv', '4×1×3×3'),
    ...conv('layer1.0.conv1', '4×4×3×3'),
    ...conv('layer1.0.conv2', '4×4×3×3'),
    ...conv('layer2.0.conv1', '8×4×3×3'),
    ...conv('layer2.0.conv2', '8×8×3×3'),
    ...conv('layer2.0.downsample.conv', '8×4×1×1'),
    ...conv('layer3.0.conv1', '8×8×3×3'),
    ...conv('layer3.0.conv2', '8×8×3×3'),
    ...conv('layer3.0.downsample.conv', '8×8×1×1'),
    'fc.weight 10×8',
    'fc.bias 10',
  ]);
});

test('the metadata hold the recipe, and survive the file', () => {
  const recipe = smallRecipe();
  const { metadata, producerName } = decodeModel(encodeModel(exportModel(recipe, trainedWeights(recipe))), 'm');
  expect(parseRecipe(JSON.parse(metadata!['hpff.recipe']!), 'm')).toEqual(recipe);
  expect(metadata!['hpff.classes']).toBe('10');
  expect(JSON.parse(metadata!['hpff.mean']!)).toEqual(recipe.data.normalize.mean);
  expect(JSON.parse(metadata!['hpff.std']!)).toEqual(recipe.data.normalize.std);
  expect(metadata!['hpff.version']).toMatch(/^\d+\.\d+\.\d+/);
  expect(producerName).toBe('hpff');
});

test.each<NetworkConfig>([
  {
    type: 'imagenet-resnet',
    depth: 50,
    groups: 4,
    widthPerGroup: 32,
    width: 8,
    classes: 5,
    image: [3, 40, 32],
  },
  { type: 'imagenet-resnet', depth: 18, groups: 1, widthPerGroup: 64, width: 6, classes: 5, image: [3, 33, 47] },
  { type: 'vgg', depth: 11, width: 4, hidden: 12, classes: 5, image: [3, 32, 64] },
])('%j: computes what the trunk computes, in standard operators', async (network) => {
  const base = smallRecipe();
  const recipe = { ...base, network, local: { ...base.local, patches: null } };
  const weights = trainedWeights(recipe);
  const model = exportModel(recipe, weights);
  checkModel(model);
  expect(model.graph.nodes.map(({ opType }) => opType)).not.toContain('BatchNormalization');
  const file = encodeModel(model);
  const { maxRelativeDifference } = await verifyExport(runtime, recipe, weights, file, noiseImages(recipe, 5));
  expect(maxRelativeDifference).toBeGreaterThan(0);
  expect(maxRelativeDifference).toBeLessThan(1e-5);
});

test.each([
  { depth: 8 },
  { depth: 14, widths: [3, 5, 7, 9] as const, image: [2, 9, 6] as const, classes: 2 },
  { depth: 32, widths: [4, 8, 8, 16] as const, image: [1, 12, 12] as const },
])('%j: computes what the trunk computes', async (network) => {
  const wanted = { classes: 10, image: [1, 8, 8] as const, widths: [4, 4, 8, 8] as const, ...network };
  const base = smallRecipe();
  const recipe = {
    ...base,
    network: { ...base.network, ...wanted } as NetworkConfig,
    local: { ...base.local, patches: null },
  };
  const weights = trainedWeights(recipe);
  const { images, maxRelativeDifference } = await verifyExport(
    runtime,
    recipe,
    weights,
    encodeModel(exportModel(recipe, weights)),
    noiseImages(recipe, 70), // more than run at once
  );
  expect(images).toBe(70);
  expect(maxRelativeDifference).toBeGreaterThan(0); // folding rounds otherwise: exact equality would be no comparison
  expect(maxRelativeDifference).toBeLessThan(1e-5);
});

test('missing and misshapen weights are a misuse', () => {
  const recipe = smallRecipe();
  const weights = trainedWeights(recipe);
  weights.delete('layer2.0.bn1.running_var');
  expect(() => exportModel(recipe, weights)).toThrow("export needs 'layer2.0.bn1.running_var' as float32 [8]");
});
