/** Random uses of operators that move elements. */
import fc from 'fast-check';
import type { LayoutOps } from '../../src/graph/ops/layout.js';
import { count } from '../reference/tensor.js';
import { type CasesFor, int, shapeOf, signed } from './case.js';

const permutation = (rank: number): fc.Arbitrary<number[]> =>
  fc.shuffledSubarray(
    Array.from({ length: rank }, (_, axis) => axis),
    { minLength: rank },
  );

export const layoutCases: CasesFor<LayoutOps> = {
  Reshape: fc.record({ shape: shapeOf(0, 4), flattened: int(0, 3), trailing: int(0, 2) }).map((c) => {
    const first = count(c.shape.slice(0, c.flattened));
    const shape = [first, ...c.shape.slice(c.flattened), ...Array.from({ length: c.trailing }, () => 1)];
    return { attributes: { shape }, inputs: [signed(c.shape)] };
  }),
  Transpose: shapeOf(1, 4).chain((shape) =>
    permutation(shape.length).map((perm) => ({ attributes: { perm }, inputs: [signed(shape)] })),
  ),
  Slice: fc
    .array(fc.record({ before: int(0, 2), length: int(1, 3), after: int(0, 2), cut: fc.boolean() }), {
      minLength: 1,
      maxLength: 4,
    })
    .map((parts) => {
      const axes = parts.flatMap(({ cut }, axis) => (cut ? [axis] : []));
      return {
        attributes: {
          axes,
          starts: axes.map((axis) => parts[axis]!.before),
          ends: axes.map((axis) => parts[axis]!.before + parts[axis]!.length),
        },
        inputs: [signed(parts.map(({ before, length, after }) => before + length + after))],
      };
    }),
  Pad: fc
    .array(fc.record({ before: int(0, 2), length: int(1, 3), after: int(0, 2) }), { minLength: 1, maxLength: 4 })
    .map((parts) => ({
      attributes: { before: parts.map(({ before }) => before), after: parts.map(({ after }) => after) },
      inputs: [signed(parts.map(({ length }) => length))],
    })),
  Concat: fc
    .record({ shape: shapeOf(1, 4), axis: int(0, 3), lengths: fc.array(int(1, 3), { minLength: 1, maxLength: 3 }) })
    .map((c) => {
      const axis = c.axis % c.shape.length;
      return { attributes: { axis }, inputs: c.lengths.map((length) => signed(c.shape.with(axis, length))) };
    }),
  Expand: fc
    .record({
      axes: fc.array(fc.record({ length: int(1, 4), short: fc.boolean() }), { maxLength: 4 }),
      missing: int(0, 2),
    })
    .map(({ axes, missing }) => ({
      attributes: { shape: axes.map(({ length }) => length) },
      inputs: [signed(axes.map(({ length, short }) => (short ? 1 : length)).slice(missing))],
    })),
  OneHot: fc.record({ rows: int(1, 5), classes: int(1, 6) }).map(({ rows, classes }) => ({
    attributes: { classes },
    inputs: [{ shape: [rows], values: { labels: classes }, fixed: true }],
  })),
  After: fc
    .record({ shape: shapeOf(0, 4), others: fc.array(shapeOf(0, 3), { minLength: 1, maxLength: 3 }) })
    .map(({ shape, others }) => ({
      attributes: {},
      inputs: [signed(shape), ...others.map((other) => ({ ...signed(other), fixed: true }))],
    })),
};
