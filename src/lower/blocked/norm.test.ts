/** Batch normalisation between convolutions, with the blocked kernels: values and gradients, against the reference in float64. */
import { beforeAll, expect, test } from 'vitest';
import { chosenLowering, compareWithReference } from '../../../test/support/compare-with-reference.js';
import { add, batchNormTrain, conv, type ConvOptions, Graph, relu, type Value } from '../../graph/index.js';
import type { Lowering } from '../index.js';
import type { OnnxNode } from '../../onnx/model.js';

let lowering: Lowering;
beforeAll(async () => {
  lowering = await chosenLowering();
});

interface Layer {
  readonly batch?: number;
  readonly channels?: number;
  readonly out?: number;
  readonly kernel?: number;
  readonly options?: ConvOptions;
  readonly size?: readonly [number, number];
  readonly bias?: boolean;
  /** A number for every channel, in place of an input. */
  readonly gamma?: number;
}

/** Convolution, normalisation and convolution, behind one that makes its result blocked. */
function layer({ batch = 32, channels = 16, out = 16, kernel = 3, options = {}, size = [6, 4], bias, gamma }: Layer) {
  const graph = new Graph('layer');
  const image = graph.input('image', 'float32', [batch, 3, ...size]);
  const before = conv(image, graph.input('before', 'float32', [channels, 3, 1, 1]));
  const filter = graph.input('filter', 'float32', [out, channels / (options.groups ?? 1), kernel, kernel]);
  const x = conv(before, filter, { ...options, ...(bias && { bias: graph.input('bias', 'float32', [out]) }) });
  const scale =
    gamma === undefined
      ? graph.input('gamma', 'float32', [out])
      : graph.constant({ dtype: 'float32', shape: [out], data: new Float32Array(out).fill(gamma) });
  const normalised = batchNormTrain(x, scale, graph.input('beta', 'float32', [out]));
  const after = graph.input('after', 'float32', [16, out, 1, 1]);
  return { graph, image, before, x, ...normalised, last: (map: Value) => conv(map, after) };
}

/** Depthwise 1×1 convolutions without padding: passes over a map that change every channel by itself. */
const passes = (nodes: readonly OnnxNode[]): number =>
  nodes.filter(({ attributes: { group, kernel_shape: kernel, pads }, opType }) => {
    const isPointwise = kernel?.type === 'ints' && kernel.value.every((side) => side === 1);
    return opType === 'Conv' && isPointwise && !pads && group?.type === 'int' && group.value > 4;
  }).length;

test.each<[string, Layer]>([
  ['3×3', { options: { padding: 1 } }],
  ['1×1', { kernel: 1 }],
  ['3×3 with stride 2', { options: { padding: 1, stride: 2 } }],
  ['1×1 with stride 2', { kernel: 1, options: { stride: 2 } }],
  ['3×3 in groups', { channels: 32, out: 32, options: { padding: 1, groups: 4 } }],
  ['3×3 with a bias', { options: { padding: 1 }, bias: true }],
  ['channels that fill no block', { channels: 12, out: 20, options: { padding: 1 } }],
  ['few images for many channels', { batch: 2, channels: 32, out: 32, options: { padding: 1 } }],
  ['padding on two sides, maps of odd size', { size: [5, 7], options: { padding: 1 } }],
  ['a factor of zero', { options: { padding: 1 }, gamma: 0 }],
])('%s: result, statistics and gradients', async (_name, shape) => {
  const { graph, y, mean, variance, last } = layer(shape);
  await compareWithReference(lowering, graph, [last(relu(y)), mean, variance]);
});

test('behind a convolution, a map is passed over once on the way forward, and once on the way back', async () => {
  const { graph, y, last } = layer({ options: { padding: 1 } });
  const nodes = await compareWithReference(lowering, graph, [last(relu(y))]);
  if (lowering.block) expect(passes(nodes)).toBe(2);
});

test('a map that is read elsewhere too is there whole', async () => {
  const { graph, x, y, last } = layer({ options: { padding: 1 } });
  await compareWithReference(lowering, graph, [last(relu(add(y, x))), x]);
});

test('the gradient goes to a sum and to a convolution at once', async () => {
  const graph = new Graph('residual');
  const image = graph.input('image', 'float32', [16, 3, 4, 4]);
  const before = conv(image, graph.input('before', 'float32', [16, 3, 1, 1]));
  const inside = conv(before, graph.input('filter', 'float32', [16, 16, 3, 3]), { padding: 1 });
  const vector = (name: string): Value => graph.input(name, 'float32', [16]);
  // What is normalised is a sum, and its gradient that of both addends.
  const { y } = batchNormTrain(add(before, inside), vector('gamma'), vector('beta'));
  await compareWithReference(lowering, graph, [conv(relu(y), graph.input('after', 'float32', [16, 16, 1, 1]))]);
});

test('a gradient that leaves the graph is whole', async () => {
  const graph = new Graph('normalisation alone');
  const x = graph.input('x', 'float32', [16, 16, 4, 4]);
  const before = conv(x, graph.input('before', 'float32', [16, 16, 1, 1]));
  const { y } = batchNormTrain(x, graph.input('gamma', 'float32', [16]), graph.input('beta', 'float32', [16]));
  await compareWithReference(lowering, graph, [add(before, y)]);
});

/** A map [1, C, H, W], as it is with the batch last, and its normalisation. */
function oneImage(size: readonly [number, number], channels = 12) {
  const graph = new Graph('one image');
  const x = graph.input('x', 'float32', [1, channels, ...size]);
  const vector = (name: string): Value => graph.input(name, 'float32', [channels]);
  return { graph, x, ...batchNormTrain(x, vector('gamma'), vector('beta')) };
}

test.each<[string, readonly [number, number]]>([
  ['rows that come out even', [16, 32]],
  ['an odd number of blocks', [3, 16]],
  ['what fills no block', [5, 7]],
])('a plain map of one image, %s: result, statistics and gradients', async (_name, size) => {
  const { graph, x, y, mean, variance } = oneImage(size);
  await compareWithReference(lowering, graph, [relu(y), mean, variance]);
  await compareWithReference(lowering, graph, [add(relu(y), y), x]);
});

test('a plain map of one image is never reordered, and takes its ReLU with it', async () => {
  const { graph, y } = oneImage([16, 32]);
  const nodes = await compareWithReference(lowering, graph, [relu(y)]);
  const count = (type: string): number => nodes.filter(({ opType }) => opType === type).length;
  if (!lowering.block) return;
  expect(passes(nodes)).toBe(4);
  expect([count('ReorderInput'), count('ReorderOutput'), count('Relu')]).toEqual([0, 0, 0]);
});
