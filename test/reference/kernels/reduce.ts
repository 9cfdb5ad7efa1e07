/** Reference kernels of sums and means. */
import type { ReduceOps } from '../../../src/graph/ops/reduce.js';
import type { KernelsFor } from '../kernel.js';
import { count, indicesOf, offset, type Tensor } from '../tensor.js';

function sum({ shape, data }: Tensor, axes: readonly number[]): Float64Array {
  const kept = shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  const result = new Float64Array(count(kept));
  let at = 0;
  for (const index of indicesOf(shape)) {
    const target = index.map((i, axis) => (axes.includes(axis) ? 0 : i));
    result[offset(kept, target)]! += data[at++]!;
  }
  return result;
}

export const reduceKernels: KernelsFor<ReduceOps> = {
  ReduceSum: ([x], { axes }) => [sum(x!, axes)],
  ReduceMean: ([x], { axes }) => {
    const elements = count(axes.map((axis) => x!.shape[axis]!));
    return [sum(x!, axes).map((total) => total / elements)];
  },
};
