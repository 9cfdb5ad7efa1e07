/** Cutting slices out of a graph. */
import { describe, expect, it } from 'vitest';
import { add, Graph, mul, relu } from '../graph/index.js';
import { cut } from './slice.js';

/** x → a = relu(x) → b = a·a → c = b + x, with a as another task's work. */
function network() {
  const graph = new Graph('net');
  const x = graph.input('x', 'float32', ['N', 2]);
  const unread = graph.input('unread', 'float32', [2]);
  const a = graph.within('forward', () => relu(x));
  const [b, c] = graph.within('update', () => {
    const square = mul(a, a);
    return [square, add(square, x)];
  });
  const d = graph.within('update', () => add(c, unread));
  return { graph, x, a, b: b, c: c, d };
}

const all = (): boolean => true;
const never = (): string => {
  throw new Error('nothing else may enter');
};

describe('cut', () => {
  it('takes the nodes that the outputs need, in order, and the inputs that these read', () => {
    const { graph, x, c } = network();
    const slice = cut('all', [{ name: 'c', value: c }], all, never);
    expect(slice.nodes).toEqual(graph.nodes.slice(0, 3));
    expect(slice.inputs).toEqual([{ name: 'x', value: x }]);
    expect(slice.outputs).toEqual([{ name: 'c', value: c }]);
  });

  it('stops where another task begins: what is read from there enters, named', () => {
    const { x, a, b, c } = network();
    const slice = cut(
      'update',
      [
        { name: 'c', value: c },
        { name: 'b', value: b },
      ],
      ({ section }) => section === 'update',
      (value) => `from forward ${value === a}`,
    );
    expect(slice.nodes.map(({ op }) => op)).toEqual(['Mul', 'Add']);
    expect(slice.inputs).toEqual([
      { name: 'x', value: x },
      { name: 'from forward true', value: a },
    ]);
  });

  it('gives nodes in topological order whatever the order of the outputs', () => {
    const { a, b, d } = network();
    for (const values of [
      [d, b, a],
      [a, b, d],
    ]) {
      const slice = cut(
        'all',
        values.map((value, i) => ({ name: `y${i}`, value })),
        all,
        never,
      );
      const ids = slice.nodes.map(({ id }) => id);
      expect(ids).toHaveLength(4);
      expect(ids).toEqual([...ids].sort((left, right) => left - right));
    }
  });

  it('lets a value be input and output', () => {
    const { a, b } = network();
    const slice = cut(
      'pass',
      [
        { name: 'kept', value: a },
        { name: 'b', value: b },
      ],
      ({ section }) => section === 'update',
      () => 'a',
    );
    expect(slice.inputs).toEqual([{ name: 'a', value: a }]);
    expect(slice.nodes.map(({ op }) => op)).toEqual(['Mul']);
  });

  it('takes no constant for an input', () => {
    const { graph, x } = network();
    const slice = cut('scaled', [{ name: 'y', value: mul(x, 2) }], all, never);
    expect(slice.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(cut('constant', [{ name: 'one', value: graph.scalar(1) }], all, never)).toMatchObject({
      nodes: [],
      inputs: [],
    });
  });

  it('refuses no outputs', () => {
    expect(() => cut('empty', [], all, never)).toThrow('slice empty has no outputs');
  });

  it('refuses a name that is taken twice, naming both values', () => {
    const { a, b, c } = network();
    const update = ({ section }: { section: string }): boolean => section === 'update';
    const twice = [
      { name: 'y', value: b },
      { name: 'y', value: c },
    ];
    expect(() => cut('net', twice, all, never)).toThrow(
      /^slice net: %\d+: float32\[N, 2\] and %\d+: float32\[N, 2\] are both named 'y'$/,
    );
    expect(() => cut('net', [{ name: 'x', value: c }], all, never)).toThrow(/slice net: x: .* both named 'x'/);
    expect(() => cut('net', [{ name: 'a', value: a }], update, () => 'a')).toThrow(/both named 'a'/);
    expect(() => cut('net', [{ name: 'c', value: c }], update, () => 'x')).toThrow(/both named 'x'/);
  });
});
