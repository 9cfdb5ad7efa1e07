/** Random sums and means. */
import fc from 'fast-check';
import type { ReduceOps } from '../../src/graph/ops/reduce.js';
import { type CasesFor, type OperatorCase, shapeOf, signed } from './case.js';

const reduction: fc.Arbitrary<OperatorCase<ReduceOps['ReduceSum']>> = fc
  .record({ shape: shapeOf(0, 4), keepDims: fc.boolean() })
  .chain(({ shape, keepDims }) =>
    fc
      .shuffledSubarray(shape.map((_, axis) => axis))
      .map((axes) => ({ attributes: { axes, keepDims }, inputs: [signed(shape)] })),
  );

export const reduceCases: CasesFor<ReduceOps> = { ReduceSum: reduction, ReduceMean: reduction };
