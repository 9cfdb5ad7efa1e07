/** Gradients of operators that move elements: the move back. */
import { pad, reshape, slice, staticDim, transpose } from '../../graph/index.js';
import type { LayoutOps } from '../../graph/ops/layout.js';
import { only, type RulesFor } from '../rule.js';
import { unbroadcast } from './elementwise.js';

export const layoutRules: RulesFor<LayoutOps> = {
  Reshape: ({ inputs: [x] }, cotangents) => [reshape(only(cotangents), x!.shape)],
  Transpose: ({ attributes: { perm } }, cotangents) => [
    transpose(
      only(cotangents),
      perm.map((_, axis) => perm.indexOf(axis)),
    ),
  ],
  Slice: ({ inputs: [x], attributes: { axes, starts, ends } }, cotangents) => {
    const before = x!.shape.map(() => 0);
    const after = x!.shape.map(() => 0);
    axes.forEach((axis, i) => {
      before[axis] = starts[i]!;
      after[axis] = staticDim(x!.shape, axis) - ends[i]!;
    });
    return [pad(only(cotangents), { before, after })];
  },
  Pad: ({ inputs: [x], attributes: { before, after } }, cotangents) => {
    const axes = x!.shape.flatMap((_, axis) => (before[axis] || after[axis] ? [axis] : []));
    const starts = axes.map((axis) => before[axis]!);
    const ends = axes.map((axis) => before[axis]! + staticDim(x!.shape, axis));
    return [slice(only(cotangents), { axes, starts, ends })];
  },
  Concat: ({ inputs, attributes: { axis } }, cotangents, wanted) => {
    let offset = 0;
    return inputs.map((input, i) => {
      const start = offset;
      offset += staticDim(input.shape, axis);
      return wanted[i] ? slice(only(cotangents), { axes: [axis], starts: [start], ends: [offset] }) : undefined;
    });
  },
  Expand: ({ inputs: [x] }, cotangents) => [unbroadcast(only(cotangents), x!.shape)],
  OneHot: () => [undefined],
  After: ({ inputs }, cotangents) => inputs.map((_, i) => (i === 0 ? only(cotangents) : undefined)),
};
