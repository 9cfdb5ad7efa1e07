/** Forms of slices: what they leave open, and what not. */
import { expect, test } from 'vitest';
import { add, Graph, mul, relu, softmaxCrossEntropy, transpose, type Value } from '../graph/index.js';
import { formOf, type SliceForm } from './slice-form.js';
import { cut } from './slice.js';

/** Form of what `build` makes of two inputs, the second from another task. */
function form(build: (x: Value, crossing: Value, graph: Graph) => Value, internal = false): SliceForm {
  const graph = new Graph('net');
  const x = graph.input('x', 'float32', [2, 3]);
  const crossing = graph.within('other', () => relu(graph.input('source', 'float32', [2, 3])));
  const y = graph.within('task', () => build(x, crossing, graph));
  const own = ({ section }: { readonly section: string }): boolean => section === 'task';
  return formOf(cut('task', [{ name: 'y', value: y, internal }], own, () => 'crossing'));
}

const reference = form((x, crossing) => add(mul(x, 2), crossing));

test('names and numbers are left open', () => {
  const graph = new Graph('other net');
  graph.input('unused', 'float32', [1]);
  const crossing = graph.within('below', () => relu(graph.input('from below', 'float32', [2, 3])));
  const input = graph.input('input', 'float32', [2, 3]);
  const output = graph.within('above', () => graph.scoped('layer', () => add(mul(input, 0.5), crossing)));
  const slice = cut('above', [{ name: 'output', value: output }], (node) => node.section === 'above', String);
  const { key, inputs, numbers } = formOf(slice);
  expect(key).toBe(reference.key);
  expect(inputs.map(({ value }) => value)).toEqual([input, crossing]);
  expect(numbers.map(({ number }) => number)).toEqual([0.5]);
  expect(reference.numbers.map(({ number }) => number)).toEqual([2]);
});

test('inputs come in the order of their use, whatever the order in which they were made', () => {
  const { key, inputs } = form((x, crossing) => add(mul(crossing, 2), x));
  expect(inputs.map(({ name }) => name)).toEqual(['crossing', 'x']);
  expect(key).not.toBe(reference.key);
});

const vector = (graph: Graph, ...data: number[]): Value =>
  graph.constant({ dtype: 'float32', shape: [data.length], data: Float32Array.from(data) });

test.each<[string, SliceForm, SliceForm]>([
  ['operator', form((x, crossing) => add(x, crossing)), form((x, crossing) => mul(x, crossing))],
  ['edges', form((x, crossing) => add(mul(x, crossing), x)), form((x, crossing) => add(mul(x, crossing), crossing))],
  ['attributes', form((x) => transpose(x, [0, 1])), form((x) => transpose(x, [1, 0]))],
  ['where an input comes from', form((x) => relu(x)), form((_, crossing) => relu(crossing))],
  ['numbers that are one or two', form((x) => add(mul(x, 2), 2)), form((x) => add(mul(x, 2), 3))],
  ['a number and a tensor', form((x) => mul(x, 2)), form((x, _, graph) => mul(x, vector(graph, 2)))],
  [
    'elements of a tensor',
    form((x, _, graph) => mul(x, vector(graph, 1, 2, 3))),
    form((x, _, graph) => mul(x, vector(graph, 1, 2, 4))),
  ],
  ['whether an output is internal', form((x) => relu(x), true), form((x) => relu(x), false)],
])('%s makes a difference', (_what, one, other) => {
  expect(one.key).not.toBe(other.key);
});

test('types make a difference', () => {
  const loss = (classes: number): SliceForm => {
    const graph = new Graph('net');
    const label = graph.input('label', 'int64', [2]);
    const value = softmaxCrossEntropy(graph.input('logits', 'float32', [2, classes]), label);
    return formOf(cut('net', [{ name: 'loss', value }], () => true, String));
  };
  expect(loss(3).key).toBe(loss(3).key);
  expect(loss(3).key).not.toBe(loss(4).key);
});
