/** Hiding the batch: nothing large is left for ONNX Runtime's planner to know, and nothing is computed otherwise. */
import { describe, expect, test } from 'vitest';
import { runOnnx } from '../../test/run-onnx.js';
import { sameBits } from '../../test/reference/compare.js';
import { buildGraphs } from '../artifacts/index.js';
import { planGraphs } from '../artifacts/plan.js';
import { elementCount } from '../files/tensor.js';
import type { OnnxModel, OnnxNode, OnnxTensor } from '../onnx/model.js';
import { parseRecipe, type Recipe } from '../recipe/index.js';
import { Random } from '../random.js';
import { blocked, bufferSteps, hideBatch, lower, portable, valueShapes } from './index.js';
import { int64Bytes, int64s } from './int64.js';

const recipeOf = (local: object, batch = 16): Recipe =>
  parseRecipe(
    {
      network: { type: 'cifar-resnet', depth: 14, widths: [16, 16, 32, 64], classes: 4, image: [3, 16, 16] },
      split: { modules: 4 },
      local,
      optimizer: { type: 'sgd', learningRate: 0.1, momentum: 0.9 },
      schedule: { type: 'constant', epochs: 1 },
      data: { dataset: 'cifar10', batch },
    },
    'hidden batch',
  );

const hpff = { rule: 'infopro', hierarchy: { independent: 0.1, cascade: 0.9 } };
const released = recipeOf({ ...hpff, patches: { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' } });
const published = recipeOf({
  ...hpff,
  patches: { grid: 2, on: ['decoder', 'classifier'], weights: 'shared', fuse: 'mean' },
});

const constant = (name: string, values: number[]): OnnxTensor => {
  return { name, dtype: 'int64', shape: [values.length], bytes: int64Bytes(values) };
};

const node = (opType: string, inputs: string[], output: string): OnnxNode => {
  return { name: output, domain: '', opType, inputs, outputs: [output], attributes: {} };
};

function modelOf(nodes: OnnxNode[], initializers: OnnxTensor[]): OnnxModel {
  const shape = [4, 8];
  return {
    irVersion: 8,
    opsets: { '': 17 },
    graph: {
      name: 'hidden',
      nodes,
      inputs: [
        { name: 'x', dtype: 'float32', shape },
        { name: 'weight', dtype: 'float32', shape },
      ],
      outputs: [{ name: nodes.at(-1)!.outputs[0]!, dtype: 'float32', shape }],
      initializers,
    },
  };
}

/** Targets of the nodes that have one. */
function targets({ graph }: OnnxModel): number[][] {
  const constants = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  return graph.nodes.flatMap(({ inputs }) => (constants.has(inputs[1]!) ? [int64s(constants.get(inputs[1]!)!)] : []));
}

describe('hideBatch', () => {
  test('hides the first dimension of what it is told, and of nothing else', () => {
    const { graph } = hideBatch(modelOf([node('Add', ['x', 'weight'], 'y')], []), new Set(['x', 'y']), 1);
    expect(graph.inputs.map(({ shape }) => shape)).toEqual([
      [null, 8],
      [4, 8],
    ]);
    expect(graph.outputs[0]!.shape).toEqual([null, 8]);
  });

  test('leaves the largest dimension of a reshape to be inferred, where none is yet', () => {
    const nodes = [
      node('Reshape', ['x', 'a'], 'y'),
      node('Reshape', ['y', 'b'], 'z'),
      node('Reshape', ['z', 'c'], 'v'),
      node('Reshape', ['v', 'a'], 'w'),
    ];
    const model = modelOf(nodes, [constant('a', [2, 16, 1]), constant('b', [-1, 4]), constant('c', [0, 2, 2])]);
    expect(targets(hideBatch(model, new Set(), 1))).toEqual([
      [2, -1, 1],
      [-1, 4],
      [0, 2, 2],
      [2, -1, 1],
    ]);
  });

  test('says of an expansion only what it adds', () => {
    const nodes = [node('Reshape', ['x', 'a'], 'y'), node('Expand', ['y', 'b'], 'z')];
    const model = modelOf(nodes, [constant('a', [4, 1, 8]), constant('b', [3, 4, 5, 8])]);
    expect(targets(hideBatch(model, new Set(), 1))[1]).toEqual([3, 1, 5, 1]);
  });

  test('gives a sum and the convolution that adds to it one name for the batch, each chain of them another', () => {
    const conv = (inputs: string[], output: string): OnnxNode => {
      return { ...node('Conv', inputs, output), domain: 'com.microsoft.nchwc' };
    };
    const nodes = [
      node('Relu', ['x'], 'a'),
      node('Neg', ['x'], 'b'),
      conv(['x', 'filter', '', 'a'], 'c'), // onto a
      conv(['x', 'filter', '', 'c'], 'd'), // onto the same again
      conv(['x', 'filter', '', 'b'], 'e'), // onto another
      conv(['d', 'filter', '', 'x'], 'f'), // onto what is not the graph's own
      conv(['e', 'filter', '', 'f'], 'y'), // into what is not
    ];
    const map = [4, 8, 2, 2];
    const graph: OnnxModel['graph'] = {
      name: 'sums',
      nodes,
      inputs: [
        { name: 'x', dtype: 'float32', shape: map },
        { name: 'filter', dtype: 'float32', shape: [8, 8, 1, 1] },
      ],
      outputs: [{ name: 'y', dtype: 'float32', shape: map }],
      initializers: [],
    };
    const hidden = hideBatch({ irVersion: 8, opsets: { '': 17 }, graph }, new Set(['x', 'y']), 8);
    expect(hidden.graph.valueInfos!.map(({ name, shape }) => [name, ...shape!])).toEqual([
      ['a', 'batch of a', 8, 2, 2],
      ['c', 'batch of a', 8, 2, 2],
      ['d', 'batch of a', 8, 2, 2],
      ['b', 'batch of b', 8, 2, 2],
      ['e', 'batch of b', 8, 2, 2],
    ]);
  });

  test('drops constants that nothing reads any more, and keeps those that something does', () => {
    const nodes = [node('Reshape', ['x', 'a'], 'y'), node('Tile', ['y', 'a'], 'z'), node('Reshape', ['z', 'b'], 'w')];
    const { graph } = hideBatch(modelOf(nodes, [constant('a', [1, 2]), constant('b', [9])]), new Set(), 1);
    expect(graph.initializers.map(({ name }) => name).sort()).toEqual(['a', 'shape/-1', 'shape/1x-1']);
  });
});

describe.each([
  ['portable', portable],
  ['blocked', blocked(8)],
])('in graphs of the %s lowering', (_name, lowering) => {
  const block = lowering.block ?? 1;

  test.each([
    ['back-propagation', recipeOf({ rule: 'bp' }, 128)],
    ['DGL', recipeOf({ rule: 'dgl' }, 128)],
    ['HPFF as released', { ...released, data: { ...released.data, batch: 128 } }],
    ['HPFF as published', { ...published, data: { ...published.data, batch: 128 } }],
  ])('of %s, no value larger than all parameters has a shape that is known', (_recipe, recipe) => {
    const { manifest, models } = buildGraphs(recipe, { lowering, schedules: ['sync'] });
    const largestParameter = Math.max(...manifest.parameters.map(({ shape }) => elementCount(shape)));
    for (const { file, inputs } of manifest.graphs.filter(({ phase }) => phase !== 'eval')) {
      const { graph } = models.get(file)!;
      const given = new Map(inputs.map(({ name, shape }) => [name, shape as number[]]));
      const shapes = valueShapes(graph, block, given);
      const known = valueShapes(graph, block);
      for (const value of bufferSteps(graph, known).flatMap(({ made }) => made)) {
        const isKnown = !known.get(value)!.some(Number.isNaN);
        if (isKnown) expect(elementCount(shapes.get(value)!), `${file} ${value}`).toBeLessThanOrEqual(largestParameter);
      }
    }
  });

  // Blocked kernels are not on every CPU.
  test.runIf(lowering === portable)('results have the same bits', async () => {
    for (const { slice } of planGraphs(released, { lowering, schedules: ['sync'] }).tasks) {
      const plain = lower(slice, lowering);
      const random = new Random(1, slice.name);
      const feeds = new Map(
        plain.graph.inputs.map(({ name, dtype, shape }) => {
          const dims = shape as number[];
          const data =
            dtype === 'int64'
              ? BigInt64Array.from({ length: elementCount(dims) }, (_, i) => BigInt(i % 4))
              : Float64Array.from({ length: elementCount(dims) }, () => random.uniform());
          return [name, { shape: dims, data }];
        }),
      );
      const hidden = hideBatch(plain, new Set(feeds.keys()), block);
      const [expected, found] = [await runOnnx(plain, feeds), await runOnnx(hidden, feeds)];
      for (const [name, { shape, data }] of expected) {
        expect(found.get(name)!.shape, name).toEqual(shape);
        expect(sameBits(found.get(name)!.data, data), `${slice.name} ${name}`).toBe(true);
      }
    }
  });
});
