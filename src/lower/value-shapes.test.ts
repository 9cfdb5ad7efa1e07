/** Shapes of lowered values: held against those that ONNX Runtime computes, for all operators that lowerings write. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { noiseImages } from '../../test/support/small-recipe.js';
import { buildGraphs } from '../artifacts/index.js';
import { initialWeights } from '../local/index.js';
import type { OnnxGraph, OnnxNode } from '../onnx/model.js';
import { openEngine, type TaskProfile } from '../pipeline/index.js';
import { parseRecipe, type Recipe } from '../recipe/index.js';
import { type Lowering, valueShapes } from './index.js';

const recipeOf = (local: object): Recipe =>
  parseRecipe(
    {
      network: { type: 'cifar-resnet', depth: 8, widths: [16, 16, 32, 64], classes: 3, image: [3, 16, 16] },
      split: { modules: 3 },
      local,
      optimizer: { type: 'adamw', learningRate: 0.01 },
      schedule: { type: 'constant', epochs: 1 },
      data: { dataset: 'cifar10', batch: 8 },
    },
    'shapes',
  );

const hpff = { rule: 'infopro', hierarchy: { independent: 0.1, cascade: 0.9 } };
const published = { grid: 2, on: ['decoder', 'classifier'], weights: 'shared', fuse: 'mean' };

/** One step on noise. */
async function profiled(recipe: Recipe, lowering: string): Promise<{ tasks: TaskProfile[]; lowering: Lowering }> {
  const profileFolder = await mkdtemp(join(tmpdir(), 'hpff-shapes-'));
  const open = await openEngine(recipe, { lowering, profileFolder, threads: 1 });
  try {
    open.engine.load(initialWeights(recipe));
    const data = BigInt64Array.from({ length: 8 }, (_, i) => BigInt(i % 3));
    await open.engine.step({ image: noiseImages(recipe, 8), label: { dtype: 'int64', shape: [8], data } }, 0.1, 1);
    return { tasks: await open.engine.endProfile!(), lowering: open.lowering.lowering };
  } finally {
    open.dispose();
    await rm(profileFolder, { recursive: true });
  }
}

describe.each(['portable', 'auto'])('the %s lowering', (name) => {
  test.each([
    ['back-propagation', recipeOf({ rule: 'bp' })],
    ['DGL', recipeOf({ rule: 'dgl' })],
    ['InfoPro, contrastive', recipeOf({ rule: 'infopro', classifier: { loss: 'contrastive' } })],
    ['HPFF as published', recipeOf({ ...hpff, patches: published })],
  ])('%s', async (_name, recipe) => {
    const { tasks, lowering } = await profiled(recipe, name);
    const { models } = buildGraphs(recipe, { lowering, schedules: ['sync'] });
    for (const { task, runs } of tasks) {
      const { graph } = models.get(task.file)!;
      const inputs = new Map(task.inputs.map((port) => [port.name, port.shape as number[]]));
      const shapes = valueShapes(graph, lowering.block ?? 1, inputs);
      const expected = new Map(runs[0]!.nodes.map(({ name, outputs }) => [name, outputs[0]!.replace(/^\w+/, '')]));
      for (const node of graph.nodes) {
        expect(`[${shapes.get(node.outputs[0]!)!.join(',')}]`, `${task.file} ${node.name}`).toBe(
          expected.get(node.name),
        );
      }
    }
  });
});

describe('unknown dimensions', () => {
  const node = (
    opType: string,
    inputs: string[],
    output: string,
    attributes: OnnxNode['attributes'] = {},
  ): OnnxNode => {
    return { name: output, domain: '', opType, inputs, outputs: [output], attributes };
  };
  const graph = (nodes: OnnxNode[]): OnnxGraph => ({
    name: 'unknown',
    nodes,
    inputs: [
      { name: 'x', dtype: 'float32', shape: [null, 3] },
      { name: 'w', dtype: 'float32', shape: [3, 5] },
    ],
    outputs: [],
    initializers: [],
  });

  test('stay unknown, and only they', () => {
    const nodes = [
      node('MatMul', ['x', 'w'], 'y'),
      node('Transpose', ['y'], 't', { perm: { type: 'ints', value: [1, 0] } }),
      node('MatMul', ['t', 'x'], 'sum'),
      node('Size', ['x'], 'size'),
      node('Reshape', ['w', 'size'], 'waiting'),
    ];
    const shapes = valueShapes(graph(nodes), 1);
    expect(shapes.get('y')).toEqual([NaN, 5]);
    expect(shapes.get('t')).toEqual([5, NaN]);
    expect(shapes.get('sum')).toEqual([5, 3]);
    expect(shapes.get('waiting')).toEqual([NaN]);
  });

  test('of an input can be told', () => {
    const shapes = valueShapes(graph([node('MatMul', ['x', 'w'], 'y')]), 1, new Map([['x', [7, 3]]]));
    expect(shapes.get('y')).toEqual([7, 5]);
  });
});

test('an operator without a rule is named', () => {
  const unknown: OnnxNode = { name: 'n', domain: '', opType: 'Erf', inputs: [], outputs: ['y'], attributes: {} };
  const graph: OnnxGraph = { name: 'g', nodes: [unknown], inputs: [], outputs: [], initializers: [] };
  expect(() => valueShapes(graph, 1)).toThrow(/'n'.*Erf/);
});
