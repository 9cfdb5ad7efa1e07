import { expect, test } from 'vitest';
import type { OnnxGraph, OnnxNode } from '../onnx/model.js';
import { foldBatchNorm } from './fold-batch-norm.js';
import { mergeBias } from './merge-bias.js';
import { floatsOf, floatTensor } from './readers.js';

const node = (opType: string, inputs: string[], output: string): OnnxNode => ({
  name: output,
  domain: '',
  opType,
  inputs,
  outputs: [output],
  attributes: opType === 'BatchNormalization' ? { epsilon: { type: 'float', value: 0.5 } } : {},
});

const tensor = (name: string, values: number[], shape = [values.length]) =>
  floatTensor(name, shape, Float32Array.from(values));

const statistics = ['gamma', 'beta', 'mean', 'variance'];

/** Two output channels, one input channel, 1×2 filters; s = γ/√(σ² + 0.5) is 4 and -1. */
function graphOf(nodes: OnnxNode[], outputs = ['y']): OnnxGraph {
  const info = (name: string) => ({ name, dtype: 'float32' as const, shape: null });
  return {
    name: 'g',
    inputs: [info('x')],
    outputs: outputs.map(info),
    nodes,
    initializers: [
      tensor('conv.weight', [1, 2, 3, 4], [2, 1, 1, 2]),
      tensor('given', [10, 20]),
      tensor('gamma', [2, -3]),
      tensor('beta', [0.5, 0.25]),
      tensor('mean', [1, 2]),
      tensor('variance', [-0.25, 8.5]),
    ],
  };
}

const values = (graph: OnnxGraph): Record<string, number[]> =>
  Object.fromEntries(graph.initializers.map((each) => [each.name, [...floatsOf(each)]]));

test('filter and bias take up scale and shift; the statistics are gone', () => {
  const conv = node('Conv', ['x', 'conv.weight'], 'c');
  const folded = foldBatchNorm(graphOf([conv, node('BatchNormalization', ['c', ...statistics], 'y')]));
  expect(folded.nodes).toEqual([{ ...conv, inputs: ['x', 'conv.weight', 'conv.bias'], outputs: ['y'] }]);
  expect(values(folded)).toEqual({
    'conv.weight': [4, 8, -3, -4],
    'conv.bias': [0.5 - 1 * 4, 0.25 - 2 * -1],
  });
  expect(folded.initializers.map(({ shape }) => shape)).toEqual([[2, 1, 1, 2], [2]]);
});

test('a bias that is there keeps its name', () => {
  const conv = node('Conv', ['x', 'conv.weight', 'given'], 'c');
  const folded = foldBatchNorm(graphOf([conv, node('BatchNormalization', ['c', ...statistics], 'y')]));
  expect(values(folded)).toEqual({
    'conv.weight': [4, 8, -3, -4],
    given: [0.5 + (10 - 1) * 4, 0.25 + (20 - 2) * -1],
  });
});

const norm = node('BatchNormalization', ['c', ...statistics], 'y');
test.each<[string, OnnxNode[], string[]]>([
  [
    'the convolution has another reader',
    [node('Conv', ['x', 'conv.weight'], 'c'), norm, node('Relu', ['c'], 'z')],
    ['y'],
  ],
  ['the convolution is an output', [node('Conv', ['x', 'conv.weight'], 'c'), norm], ['y', 'c']],
  [
    'the filter has another reader',
    [node('Conv', ['x', 'conv.weight'], 'c'), norm, node('Conv', ['x', 'conv.weight'], 'z')],
    ['y'],
  ],
  ['the filter is no initializer', [node('Conv', ['x', 'x'], 'c'), norm], ['y']],
  ['the bias is no initializer', [node('Conv', ['x', 'conv.weight', 'x'], 'c'), norm], ['y']],
  ['it is no convolution', [node('Relu', ['x'], 'c'), norm], ['y']],
])('left as it is where %s', (_, nodes, outputs) => {
  const before = graphOf(nodes, outputs);
  expect(foldBatchNorm(before).nodes).toEqual(before.nodes);
  expect(floatsOf(before.initializers[0]!)).toEqual(Float32Array.of(1, 2, 3, 4));
});

test('a constant row added to a Gemm becomes its bias; anything else added stays', () => {
  const gemm = node('Gemm', ['x', 'conv.weight'], 'g');
  const merged = mergeBias(graphOf([gemm, node('Add', ['g', 'given'], 'y')]));
  expect(merged.nodes).toEqual([{ ...gemm, inputs: ['x', 'conv.weight', 'given'], outputs: ['y'] }]);
  for (const added of ['x', 'conv.weight']) {
    const other = graphOf([gemm, node('Add', ['g', added], 'y')]);
    expect(mergeBias(other)).toEqual(other);
  }
  const readTwice = graphOf([gemm, node('Add', ['g', 'given'], 'y')], ['y', 'g']);
  expect(mergeBias(readTwice)).toEqual(readTwice);
});
