/** Reference kernels of operators that move elements. */
import type { LayoutOps } from '../../../src/graph/ops/layout.js';
import type { KernelsFor } from '../kernel.js';
import { broadcastAt, offset, tabulate } from '../tensor.js';

export const layoutKernels: KernelsFor<LayoutOps> = {
  Reshape: ([x]) => [x!.data.slice()],
  Transpose: ([x], { perm }, [shape]) => [
    tabulate(shape!, (index) => x!.data[offset(x!.shape, sourceOf(index, perm))]!),
  ],
  Slice: ([x], { axes, starts }, [shape]) => [
    tabulate(shape!, (index) => {
      const source = [...index];
      axes.forEach((axis, i) => (source[axis]! += starts[i]!));
      return x!.data[offset(x!.shape, source)]!;
    }),
  ],
  Pad: ([x], { before }, [shape]) => [
    tabulate(shape!, (index) => {
      const source = index.map((at, axis) => at - before[axis]!);
      const inside = source.every((at, axis) => at >= 0 && at < x!.shape[axis]!);
      return inside ? x!.data[offset(x!.shape, source)]! : 0;
    }),
  ],
  Concat: (inputs, { axis }, [shape]) => [
    tabulate(shape!, (index) => {
      const source = [...index];
      let part = 0;
      while (source[axis]! >= inputs[part]!.shape[axis]!) source[axis]! -= inputs[part++]!.shape[axis]!;
      return inputs[part]!.data[offset(inputs[part]!.shape, source)]!;
    }),
  ],
  Expand: ([x], _attributes, [shape]) => [tabulate(shape!, (index) => broadcastAt(x!, index))],
  OneHot: ([labels], _attributes, [shape]) => [
    tabulate(shape!, ([row, column]) => (labels!.data[row!] === column ? 1 : 0)),
  ],
  After: ([x]) => [x!.data.slice()],
};

/** Axis i of a transposed tensor is axis perm[i] of its source. */
function sourceOf(index: readonly number[], perm: readonly number[]): number[] {
  const source: number[] = [];
  perm.forEach((axis, i) => (source[axis] = index[i]!));
  return source;
}
