/** A resized convolution against resizing and then convolving, in float64, with its gradients. */
import { describe, expect, test } from 'vitest';
import { gradients } from '../grad/index.js';
import { conv, Graph, resizeBilinear, transpose } from '../graph/index.js';
import { Random } from '../random.js';
import { expectClose } from '../../test/reference/compare.js';
import { evaluate } from '../../test/reference/evaluate.js';
import { resizedConv } from './resized-conv.js';

describe.each([
  { from: [4, 4], to: [8, 8], kernel: 3 },
  { from: [2, 3], to: [5, 4], kernel: 3 },
  { from: [3, 2], to: [3, 2], kernel: 5 },
  { from: [1, 2], to: [4, 1], kernel: 1 },
  { from: [6, 5], to: [3, 4], kernel: 3 },
] as const)('a $kernel×$kernel convolution of $from resized to $to', ({ from, to, kernel }) => {
  const graph = new Graph('resized');
  const x = graph.input('x', 'float32', [2, 3, ...from]);
  const weight = graph.input('weight', 'float32', [4, 3, kernel, kernel]);
  const cotangent = graph.input('cotangent', 'float32', [2, 4, ...to]);
  const direct = conv(resizeBilinear(x, to), weight, { padding: kernel >> 1 });
  const factored = transpose(resizedConv(transpose(x, [1, 2, 3, 0]), weight, to), [3, 0, 1, 2]);
  const inputs = new Map(
    [x, weight, cotangent].map((value, i) => {
      const random = new Random(i, 'resized');
      const size = (value.shape as number[]).reduce((product, dim) => product * dim, 1);
      return [['x', 'weight', 'cotangent'][i]!, Float64Array.from({ length: size }, () => random.normal())];
    }),
  );

  test('has the values and gradients of resizing and convolving', () => {
    const all = [direct, factored].map((output) => [output, ...gradients([{ output, cotangent }], [x, weight])]);
    const found = evaluate(all.flat(), inputs);
    for (const i of [0, 1, 2]) {
      expect(all[1]![i]!.shape).toEqual(all[0]![i]!.shape);
      expectClose(found[3 + i]!, found[i] as Float64Array, 1e-6, `output ${i}`);
    }
  });
});
