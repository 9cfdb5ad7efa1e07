/** The similarity head: its loss by the definition, its gradient by central differences, and inputs without any variation. */
import { describe, expect, test } from 'vitest';
import { gradients } from '../../grad/index.js';
import { Graph, type Value } from '../../graph/index.js';
import { LayerContext, ParameterStore } from '../../nn/index.js';
import { Random } from '../../random.js';
import { expectClose } from '../../../test/reference/compare.js';
import { evaluate } from '../../../test/reference/evaluate.js';
import { similarityHead } from './similarity.js';

const classes = 3;
const labels = [0, 2, 2, 1, 0];
const wholeMap = { grid: 1, row: 0, column: 0 };

function build(side: number) {
  const graph = new Graph('similarity');
  const features = graph.input('features', 'float32', [labels.length, 4, side, side]);
  const label = graph.input('label', 'int64', [labels.length]);
  const context = new LayerContext(new ParameterStore(graph), { training: true, statistics: null }, 'head');
  const head = similarityHead(classes, label);
  const output = head.build(context, features, 1);
  return {
    graph,
    features,
    weight: graph.inputs.get('head.conv1.weight')!,
    output,
    loss: head.loss(output, [wholeMap]),
  };
}

type Inputs = Map<string, Float64Array | BigInt64Array>;

function drawn(values: readonly Value[], draw: () => number): Inputs {
  const inputs: Inputs = new Map([['label', BigInt64Array.from(labels, BigInt)]]);
  for (const { shape, source } of values) {
    const count = (shape as number[]).reduce((product, dim) => product * dim, 1);
    if (source.kind === 'input') inputs.set(source.name, Float64Array.from({ length: count }, draw));
  }
  return inputs;
}

const random = new Random(4, 'similarity');

/** Pearson's correlation of two rows. */
function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (row: readonly number[]): number => row.reduce((sum, value) => sum + value, 0) / row.length;
  const [x, y] = [a, b].map((row) => row.map((value) => value - mean(row))) as [number[], number[]];
  const dot = (p: number[], q: number[]): number => p.reduce((sum, value, i) => sum + value * q[i]!, 0);
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}

test('the loss is the mean squared difference of the correlations of features and of labels', () => {
  const { features, weight, output, loss } = build(3);
  const [rows, found] = evaluate(
    [output, loss],
    drawn([features, weight], () => random.normal()),
  ) as [Float64Array, Float64Array];
  const row = (i: number): number[] => [...rows.subarray(i * 4, (i + 1) * 4)];
  let expected = 0;
  for (const [i, a] of labels.entries()) {
    for (const [j, b] of labels.entries()) {
      expected += (correlation(row(i), row(j)) - (a === b ? 1 : -1 / (classes - 1))) ** 2 / labels.length ** 2;
    }
  }
  expect(found[0]).toBeCloseTo(expected, 6);
});

describe.each([3, 1])('on maps of %i × %i', (side) => {
  test('gradients are those of central differences', () => {
    const { graph, features, weight, loss } = build(side);
    const inputs = drawn([features, weight], () => random.normal());
    const cotangents = gradients([{ output: loss, cotangent: graph.scalar(1) }], [features, weight]);
    evaluate(cotangents, inputs).forEach((gradient, i) => {
      const name = ['features', 'head.conv1.weight'][i]!;
      const at = inputs.get(name) as Float64Array;
      const numeric = at.map((value, k) => {
        const lossAt = (moved: number): number => {
          const changed = Float64Array.from(at);
          changed[k] = moved;
          return evaluate([loss], new Map(inputs).set(name, changed))[0]![0]!;
        };
        return (lossAt(value + 1e-5) - lossAt(value - 1e-5)) / 2e-5;
      });
      expectClose(gradient, numeric, 1e-6, name);
    });
  });

  test('an image without features has finite loss and gradient', () => {
    const { graph, features, weight, loss } = build(side);
    const inputs = drawn([features, weight], () => random.normal());
    (inputs.get('features') as Float64Array).fill(0, 0, 4 * side * side);
    const cotangents = gradients([{ output: loss, cotangent: graph.scalar(1) }], [features, weight]);
    for (const values of evaluate([loss, ...cotangents], inputs)) expect(values.every(Number.isFinite)).toBe(true);
  });
});
