/** Matrix products: what they compute, and that their bits do not depend on the number of threads. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { draw } from '../../test/operators/index.js';
import { expectClose, sameBits } from '../../test/reference/compare.js';
import { evaluate } from '../../test/reference/evaluate.js';
import { runOnnx } from '../../test/run-onnx.js';
import { Graph, matmul } from '../graph/index.js';
import { Random } from '../random.js';
import { cut, lower, portable } from './index.js';

/** A product of two matrices as a model, with feeds. */
function product(rows: number, columns: number, depth: number, transA: boolean, transB: boolean) {
  const graph = new Graph('product');
  const random = new Random(rows * columns + depth, 'product');
  const matrix = (name: string, shape: [number, number]) => {
    graph.input(name, 'float32', shape);
    return { shape, data: draw('signed', shape[0] * shape[1], random) };
  };
  const a = matrix('a', transA ? [depth, rows] : [rows, depth]);
  const b = matrix('b', transB ? [columns, depth] : [depth, columns]);
  const y = matmul(graph.inputs.get('a')!, graph.inputs.get('b')!, { transA, transB });
  const slice = cut('product', [{ name: 'y', value: y }], () => true, String);
  return { model: lower(slice, portable), feeds: new Map(Object.entries({ a, b })), y };
}

describe('gemm', () => {
  const shape = fc.record({
    // From one row to wide and tall ones; sums short, long, and so long that every row gets a thread.
    rows: fc.constantFrom(1, 2, 3, 9, 16, 17, 48, 130),
    columns: fc.constantFrom(1, 3, 16, 32, 100),
    depth: fc.constantFrom(7, 128, 200, 1024, 5000),
    trans: fc.constantFrom<[boolean, boolean]>([true, true], [true, false], [false, true]),
  });

  it('computes the product, with the same bits on any number of threads', async () => {
    await fc.assert(
      fc.asyncProperty(shape, async ({ rows, columns, depth, trans: [transA, transB] }) => {
        const { model, feeds, y } = product(rows, columns, depth, transA, transB);
        const alone = (await runOnnx(model, feeds)).get('y')!;
        if (rows * columns * depth < 20_000) {
          const [expected] = evaluate([y], new Map([...feeds].map(([name, { data }]) => [name, data])));
          expectClose(alone.data, expected!, 2e-5, 'product');
        }
        for (const threads of [2, 16, 40]) {
          const { data } = (await runOnnx(model, feeds, threads)).get('y')!;
          expect(sameBits(data, alone.data), `${threads} threads`).toBe(true);
        }
      }),
      { numRuns: 20 },
    );
  });

  it.each([
    [9, 16, 40000],
    [16, 9, 40000],
    [48, 16, 20000],
    [3, 4, 60000],
    [3, 3, 10000],
    [100, 1, 1030],
  ])('gives %d × %d sums of %d the same bits on any number of threads', async (rows, columns, depth) => {
    const { model, feeds } = product(rows, columns, depth, false, true);
    const alone = (await runOnnx(model, feeds)).get('y')!;
    for (const threads of [2, 16, 64]) {
      const { data } = (await runOnnx(model, feeds, threads)).get('y')!;
      expect(sameBits(data, alone.data), `${threads} threads`).toBe(true);
    }
  });
});
