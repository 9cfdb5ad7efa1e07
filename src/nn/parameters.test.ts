/** Where parameters live. */
import { expect, test } from 'vitest';
import { Graph } from '../graph/index.js';
import { type ParameterSpec, ParameterStore } from './parameters.js';

const spec = (name: string): ParameterSpec => ({
  name,
  shape: [2],
  init: { kind: 'constant', value: 0 },
  kind: 'parameter',
});

test('what lives below a place is found in the order of declaration, and once', () => {
  const store = new ParameterStore(new Graph('net'));
  const names = ['layer1.0.b', 'layer1.0.a', 'layer1.01.a', 'layer1.0.deep.a', 'layer10.a', 'layer1.0.b'];
  for (const name of names) store.declare(spec(name));
  const below = (place: string): string[] => store.below(place).map(({ name }) => name);
  expect(below('layer1.0')).toEqual(['layer1.0.b', 'layer1.0.a', 'layer1.0.deep.a']);
  expect(below('layer1')).toEqual(['layer1.0.b', 'layer1.0.a', 'layer1.01.a', 'layer1.0.deep.a']);
  expect(below('layer1.0.a')).toEqual([]);
  expect(below('layer2')).toEqual([]);
});

test('a parameter has one shape', () => {
  const store = new ParameterStore(new Graph('net'));
  store.declare(spec('w'));
  expect(() => store.declare({ ...spec('w'), shape: [3] })).toThrow('parameter w is [2] and cannot also be [3]');
});
