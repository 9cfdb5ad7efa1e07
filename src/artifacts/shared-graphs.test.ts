/** Shared models: each is, for every graph that it serves, the model that the graph would have of its own. */
import { describe, expect, test } from 'vitest';
import { blocked, portable } from '../lower/index.js';
import { parseRecipe, type Recipe } from '../recipe/index.js';
import { buildGraphs, buildSharedGraphs, type GraphOptions, type ModelUse, type SharedGraphs } from './index.js';

function recipeOf(local: object): Recipe {
  return parseRecipe(
    {
      network: { type: 'cifar-resnet', depth: 26, widths: [16, 16, 32, 64], classes: 4, image: [3, 16, 16] },
      split: { modules: 12 },
      local: { rule: 'infopro', hierarchy: { independent: 0.1, cascade: 0.9 }, ...local },
      optimizer: { type: 'sgd', learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 1e-4 },
      schedule: { type: 'constant', epochs: 1 },
      data: { dataset: 'cifar10', batch: 8 },
    },
    'one block per module',
  );
}

const released = recipeOf({ patches: { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' } });
const published = recipeOf({ patches: { grid: 2, on: ['decoder', 'classifier'], weights: 'shared', fuse: 'mean' } });

describe.each([
  ['portable', portable],
  ['blocked', blocked(8)],
])('%s', (_name, lowering) => {
  test.each([
    ['as released', released],
    ['as published', published],
    ['without HiLo', recipeOf({ hierarchy: null })],
  ])('%s', (_recipe, recipe) => {
    const options: GraphOptions = { lowering, schedules: ['sync'], gradients: true };
    const own = buildGraphs(recipe, options);
    const shared = buildSharedGraphs(recipe, options);
    expect(shared.manifest).toEqual(own.manifest);
    for (const { file, inputs, outputs } of own.manifest.graphs) {
      const model = own.models.get(file)!;
      const use = shared.uses.get(file)!;
      const ports = new Map([...inputs, ...outputs].map(({ name }) => [name, name]));
      expect([...use.names.keys()].sort(), file).toEqual([...ports.keys()].sort());
      expect(meaningOf(use), file).toBe(meaningOf({ model, names: ports, numbers: new Map() }));
    }
    const models = new Set([...shared.uses.values()].map(({ model }) => model));
    expect(models.size).toBeLessThan(own.models.size * 0.75);
  });
});

test('only the graphs of some modules', () => {
  const options: GraphOptions = { lowering: portable, schedules: ['sync'] };
  const all = buildSharedGraphs(released, options);
  const some = buildSharedGraphs(released, { ...options, modules: new Set([2, 3]) });
  const files = (wanted: readonly number[]): string[] =>
    all.manifest.graphs
      .filter(({ module, phase }) => phase === 'eval' || wanted.includes(module!))
      .map(({ file }) => file);
  expect([...some.uses.keys()].sort()).toEqual(files([2, 3]).sort());
  expect(some.manifest.graphs.filter(({ module }) => module === 2)).toEqual(
    all.manifest.graphs.filter(({ module }) => module === 2),
  );
  const plain = ({ manifest }: SharedGraphs) => ({
    ...manifest,
    graphs: manifest.graphs.map(({ outputs, ...graph }) => ({
      ...graph,
      outputs: outputs.map(({ inPlace: _, ...output }) => output),
    })),
  });
  expect(plain(some)).toEqual(plain(all));
});

test('numbers in which no graphs differ stay in the model', () => {
  const { uses } = buildSharedGraphs(released, { lowering: portable, schedules: ['sync'] });
  const numbers = (file: string): number[] => [...uses.get(file)!.numbers.values()];
  // The optimizer's momentum and weight decay are everywhere the same; the weights of two cascade heads are not.
  expect(numbers('modules/02/update.onnx')).toEqual([]);
  const [first, second] = [numbers('modules/02/heads.onnx'), numbers('modules/03/heads.onnx')];
  expect(first).toHaveLength(2);
  expect(second).toHaveLength(2);
  expect(second).not.toEqual(first);
});

/** A model without its names: its nodes, each operand as a port of the graph, a constant, or the output of an earlier node. */
function meaningOf({ model: { graph, ...rest }, names, numbers }: ModelUse): string {
  const operands = new Map<string, string>([['', 'left out']]);
  const portOf = new Map([...names].map(([own, inModel]) => [inModel, own]));
  for (const { name } of graph.inputs) {
    const number = numbers.get(name);
    operands.set(name, number === undefined ? `port ${portOf.get(name)}` : constant([], Float32Array.of(number)));
  }
  for (const { name, shape, bytes } of graph.initializers) operands.set(name, constant(shape, bytes));
  const nodes = graph.nodes.map(({ domain, opType, attributes, inputs, outputs }, index) => {
    outputs.forEach((name, i) => operands.set(name, `node ${index}:${i}`));
    return { domain, opType, attributes, inputs: inputs.map((name) => operands.get(name)) };
  });
  const outputs = graph.outputs.map(({ name }) => [portOf.get(name), operands.get(name)]);
  return JSON.stringify({ ...rest, nodes, outputs });
}

function constant(shape: readonly number[], data: ArrayBufferView): string {
  return `[${shape.join()}] ${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex')}`;
}
