/** Building graphs: scopes, sections, constants, and what is refused. */
import { describe, expect, it } from 'vitest';
import { UsageError } from '../errors.js';
import { add, Graph, mul, relu } from './index.js';

const thrown = (build: () => unknown): UsageError => {
  try {
    build();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return error as UsageError;
  }
  throw new Error('nothing was thrown');
};

describe('a graph', () => {
  it('holds its nodes in the order of their making, with scope and section', () => {
    const graph = new Graph('net');
    const x = graph.input('x', 'float32', [2]);
    graph.scoped('layer1', () => {
      graph.within('forward', () => graph.scoped('relu', () => relu(x)));
      mul(x, x);
    });
    graph.scoped('', () => add(x, 1));
    expect(graph.nodes.map(({ op, scope, section }) => [op, scope, section])).toEqual([
      ['Relu', 'layer1/relu', 'forward'],
      ['Mul', 'layer1', ''],
      ['Add', '', ''],
    ]);
  });

  it('leaves a scope and a section also when building fails', () => {
    const graph = new Graph('net');
    const fail = (): never => {
      throw new Error('stop');
    };
    expect(() => graph.scoped('layer', fail)).toThrow('stop');
    expect(() => graph.within('update', fail)).toThrow('stop');
    relu(graph.input('x', 'float32', []));
    expect(graph.nodes[0]).toMatchObject({ scope: '', section: '' });
  });

  it('points each value at what makes it', () => {
    const graph = new Graph('net');
    const x = graph.input('x', 'float32', ['N', 3]);
    const y = relu(x);
    expect(x.producer).toBeNull();
    expect(y.producer).toBe(graph.nodes[0]);
    expect(graph.nodes[0]).toMatchObject({ inputs: [x], outputs: [y] });
    expect(String(x)).toBe('x: float32[N, 3]');
    expect(String(y)).toMatch(/^%\d+: float32\[N, 3\]$/);
  });

  it('makes one constant for equal scalars', () => {
    const graph = new Graph('net');
    const x = graph.input('x', 'float32', [2]);
    add(x, 0.5);
    mul(0.5, x);
    expect(graph.nodes[0]!.inputs[1]).toBe(graph.nodes[1]!.inputs[0]);
    expect(graph.scalar(0.25)).not.toBe(graph.scalar(0.5));
  });

  it('refuses two inputs of one name', () => {
    const graph = new Graph('net');
    graph.input('x', 'float32', [2]);
    const error = thrown(() => graph.input('x', 'int64', [3]));
    expect(error).toMatchObject({ code: 'GRAPH_DUPLICATE_INPUT', message: "graph net: input 'x' is declared twice" });
  });

  it('refuses values of another graph, naming both', () => {
    const graph = new Graph('net');
    const x = graph.input('x', 'float32', [2]);
    const y = new Graph('other').input('y', 'float32', [2]);
    const error = thrown(() => graph.scoped('layer', () => add(x, y)));
    expect(error.code).toBe('GRAPH_MIXED');
    expect(error.message).toBe('net/layer: Add: input y: float32[2] belongs to graph other');
    expect(graph.nodes).toHaveLength(0);
  });

  it('refuses a constant whose elements do not fill its shape', () => {
    const graph = new Graph('net');
    const error = thrown(() => graph.constant({ dtype: 'float32', shape: [2, 2], data: new Float32Array(3) }));
    expect(error.code).toBe('GRAPH_CONSTANT_SIZE');
    expect(error.message).toBe('graph net: constant [2, 2] has 3 elements, needs 4');
  });

  it.each([
    ['a negative dimension', [2, -1]],
    ['a fraction', [0.5]],
    ['a nameless dimension', ['', 3]],
  ])('refuses an input with %s', (_, shape) => {
    const graph = new Graph('net');
    const error = thrown(() => graph.input('x', 'float32', shape));
    expect(error.code).toBe('GRAPH_INPUT_SHAPE');
    expect(error.message).toBe(
      `graph net: input 'x' has shape [${shape.join(', ')}]; dimensions are integers from 0 on, or names`,
    );
    expect(graph.inputs.size).toBe(0);
  });
});
