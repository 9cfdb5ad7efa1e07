/** When values are made and freed, and what is alive at once: on graphs small enough to count by hand. */
import { describe, expect, test } from 'vitest';
import type { OnnxGraph, OnnxNode } from '../onnx/model.js';
import { bufferSteps } from './buffers.js';
import { bufferBytes, graphMemory } from './graph-memory.js';

/** `output = Op(inputs)` */
function node(text: string): OnnxNode {
  const [, outputs, opType, inputs] = /^(.*?) = (\w+)\((.*)\)$/.exec(text)!;
  return {
    name: outputs!,
    domain: '',
    opType: opType!,
    inputs: inputs!.split(', '),
    outputs: outputs!.split(', '),
    attributes: {},
  };
}

function graphOf(nodes: string[], outputs: string[]): OnnxGraph {
  const info = (name: string) => ({ name, dtype: 'float32' as const, shape: null });
  return {
    name: 'memory',
    nodes: nodes.map(node),
    inputs: [info('x')],
    outputs: outputs.map(info),
    initializers: [{ name: 'constant', dtype: 'float32', shape: [], bytes: new Uint8Array(4) }],
  };
}

const unknown = (graph: OnnxGraph): Map<string, number[]> =>
  new Map(graph.nodes.flatMap(({ outputs }) => outputs.map((name) => [name, [NaN]])));

/** Each step as `node: what it makes; what is freed after it`. */
const steps = (graph: OnnxGraph, shapes: ReadonlyMap<string, readonly number[]> = unknown(graph)): string[] =>
  bufferSteps(graph, shapes).map(
    ({ node, made, freed }) => `${node.name}: ${made.join(' ')}; ${[...freed].sort().join(' ')}`,
  );

describe('bufferSteps', () => {
  test('a value lives from its node to its last reader, an output on', () => {
    const nodes = ['a = Relu(x)', 'b = Add(a, constant)', 'c = Mul(a, b)', 'd = Add(b, c)', 'e = Neg(d)'];
    expect(steps(graphOf(nodes, ['c', 'e']))).toEqual(['a: a; ', 'b: b; ', 'c: c; a', 'd: d; b', 'e: e; d']);
  });

  test('nodes run in the order of ONNX Runtime, not of the graph', () => {
    // The last leaf first, with what it needs.
    const nodes = ['a = Relu(x)', 'b = Relu(x)', 'first = Neg(b)', 'second = Neg(a)'];
    expect(steps(graphOf(nodes, ['first', 'second']))).toEqual([
      'a: a; ',
      'second: second; a',
      'b: b; ',
      'first: first; b',
    ]);
  });

  test('a view has no memory of its own and keeps that of its operand', () => {
    const nodes = ['a = Relu(x)', 'b = Neg(a)', 'v = Reshape(a, constant)', 'w = Identity(v)', 'c = Add(b, w)'];
    expect(steps(graphOf(nodes, ['c']))).toEqual(['a: a; ', 'v: ; ', 'w: ; ', 'b: b; ', 'c: c; a b']);
  });

  test('what the caller gives is never freed, in no view', () => {
    const nodes = ['v = Reshape(x, constant)', 'a = Neg(v)', 'b = Neg(a)'];
    expect(steps(graphOf(nodes, ['b']))).toEqual(['v: ; ', 'a: a; ', 'b: b; a']);
  });

  test('a view that leaves the graph is a copy', () => {
    const nodes = ['a = Relu(x)', 'v = Reshape(a, constant)'];
    expect(steps(graphOf(nodes, ['v']))).toEqual(['a: a; ', 'v: v; a']);
  });

  test('what nothing reads is freed at once', () => {
    expect(steps(graphOf(['a, unread = Split(x)', 'b = Neg(a)'], ['b']))).toEqual([
      'a, unread: a unread; unread',
      'b: b; a',
    ]);
  });
});

describe('where shapes are known', () => {
  const shapes = (sizes: Record<string, number[]>) => new Map(Object.entries(sizes));

  test('a value takes the buffer that was left last of its shape, and holds it to its end', () => {
    const nodes = ['a = Tile(x)', 'b = Neg(a)', 'c = Neg(b)', 'd = Neg(c)', 'e = Neg(d)'];
    const found = steps(graphOf(nodes, ['e']), shapes({ a: [2], b: [2], c: [2], d: [3], e: [2] }));
    // c lies in a's buffer; d has another shape, and e leaves the graph.
    expect(found).toEqual(['a: a; ', 'b: b; ', 'c: ; b', 'd: d; a', 'e: e; d']);
  });

  test('a kernel that can writes over its operand, at its last use', () => {
    const sizes = shapes({ a: [2], b: [2], c: [2], d: [2], e: [2] });
    expect(steps(graphOf(['a = Tile(x)', 'b = Relu(a)', 'c = Neg(b)'], ['c']), sizes)).toEqual([
      'a: a; ',
      'b: ; ',
      'c: c; a',
    ]);
    const twice = ['a = Tile(x)', 'b = Relu(a)', 'c = Add(a, b)', 'd = Neg(c)'];
    expect(steps(graphOf(twice, ['d']), sizes)).toEqual(['a: a; ', 'b: b; ', 'c: c; a b', 'd: d; c']);
    // What leaves the graph, and what the caller gave, is left alone.
    expect(steps(graphOf(['a = Relu(x)', 'b = Relu(a)'], ['a', 'b']), sizes)).toEqual(['a: a; ', 'b: b; ']);
  });

  test('shapes that the graph tells by the same names are as good as known', () => {
    const graph = graphOf(['a = Tile(x)', 'b = Relu(a)', 'c = Neg(b)', 'd = Neg(c)'], ['d']);
    const info = (name: string, batch: string) => ({ name, dtype: 'float32' as const, shape: [batch, 8] });
    const told = { ...graph, valueInfos: [info('a', 'batch of a'), info('b', 'batch of a'), info('c', 'batch of c')] };
    const sizes = shapes({ a: [NaN, 8], b: [NaN, 8], c: [NaN, 8], d: [1] });
    expect(steps(graph, sizes)).toEqual(['a: a; ', 'b: b; a', 'c: c; b', 'd: d; c']);
    expect(steps(told, sizes)).toEqual(['a: a; ', 'b: ; ', 'c: c; a', 'd: d; c']);
  });

  test('shapes that are known in part, and numbers, are not matched', () => {
    const nodes = ['a = Tile(x)', 'b = Relu(a)', 'c = Neg(b)', 'd = Neg(c)'];
    const found = steps(graphOf(nodes, ['d']), shapes({ a: [2, NaN], b: [2, NaN], c: [2, NaN], d: [1] }));
    expect(found).toEqual(['a: a; ', 'b: b; a', 'c: c; b', 'd: d; c']);
    const numbers = steps(graphOf(nodes, ['d']), shapes({ a: [], b: [1], c: [], d: [1] }));
    expect(numbers).toEqual(['a: a; ', 'b: b; a', 'c: c; b', 'd: d; c']);
  });
});

describe('graphMemory', () => {
  const kibibyte = 256;
  const shapes = (sizes: Record<string, number>) =>
    new Map(Object.entries(sizes).map(([name, kibibytes]) => [name, [kibibytes, kibibyte]]));

  test('is the most that is alive at once, and says where', () => {
    const graph = graphOf(['a = Relu(x)', 'b = Tile(a, constant)', 'c = ReduceSum(b)', 'd = Tile(c, constant)'], ['d']);
    const found = graphMemory(graph, shapes({ a: 1, b: 4, c: 1, d: 3 }), unknown(graph), new Set());
    expect(found).toEqual({ peakBytes: 5 * 1024, peakNode: 'b' });
  });

  test('outputs stay, but those written elsewhere take nothing', () => {
    const graph = graphOf(['a = Tile(x, constant)', 'b = Neg(a)', 'c = Neg(b)'], ['a', 'c']);
    const sizes = shapes({ a: 2, b: 2, c: 2 });
    expect(graphMemory(graph, sizes, unknown(graph), new Set())).toEqual({ peakBytes: 6 * 1024, peakNode: 'c' });
    expect(graphMemory(graph, sizes, unknown(graph), new Set(['a']))).toEqual({ peakBytes: 4 * 1024, peakNode: 'c' });
  });
});

test('a tensor takes whole units of the arena', () => {
  expect([[], [0], [64], [65], [3, 64]].map((shape) => bufferBytes(shape))).toEqual([256, 0, 256, 512, 768]);
});
