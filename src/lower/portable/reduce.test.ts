/** Reductions give the same bits on any number of threads. */
import { describe, expect, it } from 'vitest';
import { draw } from '../../../test/operators/index.js';
import { sameBits } from '../../../test/reference/compare.js';
import { runOnnx } from '../../../test/run-onnx.js';
import { batchNormTrain, Graph, reduceMean, reduceSum, type Value } from '../../graph/index.js';
import { Random } from '../../random.js';
import { cut, lower, portable } from '../index.js';

describe('with few channels and many threads', () => {
  const shape = [16, 3, 16, 16];
  const ops: [string, (x: Value) => Value][] = [
    ['a sum per channel', (x) => reduceSum(x, [0, 2, 3])],
    ['a mean per channel', (x) => reduceMean(x, [2, 0, 3], true)],
    ['a sum over all', (x) => reduceSum(x)],
    ['a mean per image', (x) => reduceMean(x, [1, 2, 3])],
    ['batch normalisation', (x) => batchNormTrain(x, ones(x), ones(x)).y],
  ];
  const ones = (x: Value): Value => x.graph.constant({ dtype: 'float32', shape: [3], data: Float32Array.of(1, 1, 1) });

  it.each(ops)('%s has the same bits', async (_, build) => {
    const graph = new Graph('sums');
    const y = build(graph.input('x', 'float32', shape));
    const model = lower(
      cut('sums', [{ name: 'y', value: y }], () => true, String),
      portable,
    );
    const feeds = new Map([['x', { shape, data: draw('signed', 16 * 3 * 16 * 16, new Random(1, 'sums')) }]]);
    const alone = (await runOnnx(model, feeds)).get('y')!;
    for (const threads of [2, 5, 16, 64]) {
      const { data } = (await runOnnx(model, feeds, threads)).get('y')!;
      expect(sameBits(data, alone.data), `${threads} threads`).toBe(true);
    }
  });
});
