/** When an output may be written over an input. */
import { describe, expect, it } from 'vitest';
import type { OnnxModel } from '../onnx/model.js';
import { InPlaceProof } from './in-place.js';

/** A model of nodes given as 'output = Operator(input, …)'. */
function model(outputs: readonly string[], ...lines: readonly string[]): OnnxModel {
  const nodes = lines.map((line) => {
    const [, output, opType, inputs] = /^(\w+) = (\w+)\((.*)\)$/.exec(line)!;
    return {
      name: output!,
      domain: '',
      opType: opType!,
      inputs: inputs!.split(', '),
      outputs: [output!],
      attributes: {},
    };
  });
  const value = (name: string) => ({ name, dtype: 'float32', shape: [4] }) as const;
  const graph = { name: 'update', nodes, inputs: ['p', 'x'].map(value), outputs: outputs.map(value), initializers: [] };
  return { irVersion: 8, opsets: { '': 17 }, graph };
}

describe('an update in place', () => {
  const holds: [string, OnnxModel][] = [
    ['where only the maker reads the input', model(['q'], 'q = Sub(p, x)')],
    ['where the maker reads it twice', model(['q'], 'q = Mul(p, p)')],
    ['where all readers come before the maker', model(['q'], 'y = MatMul(p, x)', 'g = Mul(y, p)', 'q = Sub(p, g)')],
    [
      'where what reads a view comes before the maker',
      model(['q'], 'v = Reshape(p, s)', 'g = MatMul(v, x)', 'q = Sub(p, g)'),
    ],
    ['where the maker does not read it at all', model(['q'], 'g = MatMul(p, x)', 'q = Add(g, x)')],
  ];
  it.each(holds)('is allowed %s', (_, update) => {
    expect(new InPlaceProof(update).holds('p', 'q')).toBe(true);
  });

  const fails: [string, OnnxModel][] = [
    ['where a reader may come after the maker', model(['q', 'y'], 'y = MatMul(p, x)', 'q = Sub(p, x)')],
    ['where a reader comes after the maker', model(['y'], 'q = Sub(p, x)', 'y = Mul(q, p)')],
    ['where a view of it is read later', model(['q', 'y'], 'v = Reshape(p, s)', 'y = Neg(v)', 'q = Sub(p, x)')],
    [
      'where a view of a view is read later',
      model(['q', 'y'], 'v = Reshape(p, s)', 'w = Identity(v)', 'y = Neg(w)', 'q = Sub(p, w)'),
    ],
    ['where a view of it is given out', model(['q', 'v'], 'v = Identity(p)', 'g = Mul(v, x)', 'q = Sub(p, g)')],
    ['where the maker reads a view, which may have another shape', model(['q'], 'v = Reshape(p, s)', 'q = Sub(p, v)')],
    ['where the maker is not elementwise', model(['q'], 'q = MatMul(p, x)')],
    ['where the output is an input', model(['p'], 'q = Neg(x)')],
  ];
  it.each(fails)('is not allowed %s', (_, update) => {
    expect(new InPlaceProof(update).holds('p', update.graph.outputs[0]!.name === 'p' ? 'p' : 'q')).toBe(false);
  });
});
