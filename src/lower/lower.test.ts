/** From slices to models: names, outputs in every position, pruning, order. */
import { describe, expect, it } from 'vitest';
import { runOnnx } from '../../test/run-onnx.js';
import { UsageError } from '../errors.js';
import { add, batchNormTrain, conv, Graph, mul, neg, relu, softmaxCrossEntropy, type Value } from '../graph/index.js';
import { findProblems } from '../onnx/check.js';
import type { OnnxModel } from '../onnx/model.js';
import { blocked, cut, lower, portable } from './index.js';

/** The model of the given outputs of a graph, which must be valid. */
function modelOf(outputs: Readonly<Record<string, Value>>): OnnxModel {
  const named = Object.entries(outputs).map(([name, value]) => ({ name, value }));
  const model = lower(
    cut('slice', named, () => true, String),
    portable,
  );
  expect(findProblems(model)).toEqual([]);
  return model;
}

const operators = (model: OnnxModel): string[] => model.graph.nodes.map(({ opType }) => opType);

/** Runs a model whose only input, if any, is x of shape [2]. */
async function run(model: OnnxModel): Promise<Record<string, number[]>> {
  const results = await runOnnx(model, new Map([['x', { shape: [2], data: Float64Array.of(-1, 2) }]]));
  return Object.fromEntries([...results].map(([name, { data }]) => [name, Array.from(data, Number)]));
}

function start() {
  const graph = new Graph('net');
  return { graph, x: graph.input('x', 'float32', [2]) };
}

describe('lower', () => {
  it('gives outputs their names and keeps the slice in its header', async () => {
    const { x } = start();
    const model = modelOf({ y: relu(neg(x)) });
    expect(model).toMatchObject({
      irVersion: 8,
      opsets: { '': 17 },
      producerName: 'hpff',
      graph: {
        name: 'slice',
        inputs: [{ name: 'x', dtype: 'float32', shape: [2] }],
        outputs: [{ name: 'y', dtype: 'float32', shape: [2] }],
        initializers: [],
      },
    });
    expect(await run(model)).toEqual({ y: [1, 0] });
  });

  it('gives an inner value its output name also where it is read', async () => {
    const { x } = start();
    const h = neg(x);
    const model = modelOf({ y: relu(h), h });
    expect(operators(model)).not.toContain('Identity');
    expect(await run(model)).toEqual({ y: [1, 0], h: [1, -2] });
  });

  it('passes an input on', async () => {
    const { x } = start();
    const model = modelOf({ same: x, y: neg(x) });
    expect(await run(model)).toEqual({ same: [-1, 2], y: [1, -2] });
  });

  it('gives one value two names', async () => {
    const { x } = start();
    const y = neg(x);
    expect(await run(modelOf({ first: y, second: y, third: relu(y) }))).toEqual({
      first: [1, -2],
      second: [1, -2],
      third: [1, 0],
    });
    expect(await run(modelOf({ first: x, second: x }))).toEqual({ first: [-1, 2], second: [-1, 2] });
  });

  it('gives a constant out, alone and beside its use', async () => {
    const { graph, x } = start();
    const two = graph.scalar(2);
    expect(await run(modelOf({ two }))).toEqual({ two: [2] });
    expect(await run(modelOf({ two, y: mul(x, two) }))).toEqual({ two: [2], y: [-2, 4] });
  });

  it('gives out what a rule passes through without a node', async () => {
    const { graph, x } = start();
    const [same] = graph.apply('ReduceSum', [x], { axes: [], keepDims: false });
    expect(await run(modelOf({ same: same!, y: neg(same!) }))).toEqual({ same: [-1, 2], y: [1, -2] });
  });

  it('keeps names of inputs and outputs free, whatever the scopes are called', async () => {
    const graph = new Graph('net');
    const x = graph.input('x', 'float32', [2]);
    const y = graph.scoped('output', () => graph.scoped('', () => neg(x)));
    const z = relu(y);
    // As nodes and their outputs would be named if nobody had asked for these names.
    const model = modelOf({ 'output/Neg': z, 'output/Neg:0': x, 'Relu:0': y, Relu: y, 'output/Identity': y });
    expect(await run(model)).toEqual({
      'output/Neg': [1, 0],
      'output/Neg:0': [-1, 2],
      'Relu:0': [1, -2],
      Relu: [1, -2],
      'output/Identity': [1, -2],
    });
  });

  it('names nodes after their scope, each once', () => {
    const { graph, x } = start();
    const y = graph.scoped('layer1', () => graph.scoped('0', () => relu(add(relu(x), x))));
    const names = modelOf({ y }).graph.nodes.map(({ name }) => name);
    expect(names).toEqual(['layer1/0/Relu', 'layer1/0/Add', 'layer1/0/Relu_1']);
  });

  it('begins the names of nodes with their task', () => {
    const { graph, x } = start();
    const h = graph.within('0/forward', () => graph.scoped('layer1', () => relu(x)));
    const y = graph.within('0/update', () => neg(h));
    const names = modelOf({ y, h, copy: h, same: x }).graph.nodes.map(({ name }) => name);
    expect(names.sort()).toEqual([
      '0/forward/layer1/Relu',
      '0/forward/output/Identity',
      '0/update/Neg',
      'output/Identity',
    ]);
  });

  it('names nodes that wait for another after the layer that they are of, operators of other domains with the domain', () => {
    const graph = new Graph('net');
    const map = (name: string): Value => graph.input(name, 'float32', [2, 16, 4, 4]);
    const weight = graph.input('weight', 'float32', [16, 16, 3, 3]);
    const attributes = { strides: [1, 1], pads: [1, 1, 1, 1], groups: 1, inputSize: [4, 4] } as const;
    const [dx] = graph.within('0/relay', () =>
      graph.scoped('conv', () => graph.apply('ConvInputGrad', [map('dy'), weight], attributes)),
    );
    const sum = graph.within('0/update', () => add(dx!, map('other')));
    const names = lower(
      cut('slice', [{ name: 'sum', value: sum }], () => true, String),
      blocked(8),
    ).graph.nodes.map(({ name }) => name);
    expect(names).toContain('0/relay/conv/nchwc.Conv');
    expect(names.filter((name) => name.includes('Add'))).toEqual([]);
  });

  it('drops what no output needs, constants too', () => {
    const { graph } = start();
    const x = graph.input('map', 'float32', [4, 3, 5, 5]);
    const [gamma, beta] = [graph.input('gamma', 'float32', [3]), graph.input('beta', 'float32', [3])];
    const { y, mean } = batchNormTrain(x, gamma, beta);
    const whole = modelOf({ y, mean });
    const part = modelOf({ mean });
    expect(operators(part)).toEqual(['ReduceMean', 'ReduceMean']);
    expect(part.graph.initializers).toEqual([]);
    expect(whole.graph.initializers.length).toBeGreaterThan(0);
    for (const { graph: onnx } of [whole, part]) {
      const read = new Set(onnx.nodes.flatMap(({ inputs }) => inputs));
      expect(onnx.initializers.filter(({ name }) => !read.has(name))).toEqual([]);
    }
  });

  it('shares equal constants', () => {
    const { graph, x } = start();
    const constant = (value: number): Value =>
      graph.constant({ dtype: 'float32', shape: [2], data: Float32Array.of(value, value) });
    const y = mul(add(x, constant(1)), constant(1));
    const z = mul(y, constant(2));
    expect(modelOf({ z }).graph.initializers.map(({ shape }) => shape)).toEqual([[2], [2]]);
  });

  it('gives the same model for the same graph', () => {
    const build = (): OnnxModel => {
      const graph = new Graph('net');
      const x = graph.input('x', 'float32', [4, 3]);
      const labels = graph.input('labels', 'int64', [4]);
      return modelOf({ loss: softmaxCrossEntropy(mul(x, 2), labels) });
    };
    expect(build()).toEqual(build());
  });

  it('says which node it cannot write, and where', () => {
    const graph = new Graph('net');
    const logits = graph.input('logits', 'float32', ['N', 3]);
    const labels = graph.input('labels', 'int64', ['N']);
    const cotangent = graph.scalar(1);
    const [dx] = graph.scoped('head', () =>
      graph.apply('SoftmaxCrossEntropyGrad', [logits, labels, cotangent], { smoothing: 0 }),
    );
    const slice = cut('update', [{ name: 'dx', value: dx! }], () => true, String);
    expect(() => lower(slice, portable)).toThrow(UsageError);
    expect(() => lower(slice, portable)).toThrow(
      'update/head: SoftmaxCrossEntropyGrad in the portable lowering: axis 0 of [N, 3] must be a known number here',
    );
  });

  it('refuses a slice that lacks a value', () => {
    const { x } = start();
    const y = conv(mul(x.graph.input('map', 'float32', [1, 1, 2, 2]), 2), x.graph.input('w', 'float32', [1, 1, 1, 1]));
    const slice = cut('whole', [{ name: 'y', value: y }], () => true, String);
    expect(() => lower({ ...slice, nodes: slice.nodes.slice(1) }, portable)).toThrow(
      /slice whole does not hold %\d+: float32\[1, 1, 2, 2\]/,
    );
  });
});
