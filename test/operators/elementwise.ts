/** Random uses of elementwise operators. */
import fc from 'fast-check';
import type { ElementwiseOps } from '../../src/graph/ops/elementwise.js';
import { type CaseInput, type CasesFor, int, type OperatorCase, shapeOf, type ValueRange } from './case.js';

type Case = OperatorCase<ElementwiseOps['Add']>;

const unary = (values: ValueRange): fc.Arbitrary<Case> =>
  shapeOf(0, 4).map((shape) => ({ attributes: {}, inputs: [{ shape, values }] }));

/** Two shapes that broadcast: axes of a common shape are shortened to 1 in either, and leading axes left out of one. */
const binary = (right: ValueRange): fc.Arbitrary<Case> =>
  fc
    .record({
      axes: fc.array(fc.record({ length: int(1, 4), shortA: fc.boolean(), shortB: fc.boolean() }), { maxLength: 4 }),
      missing: int(0, 2),
      missingInA: fc.boolean(),
    })
    .map(({ axes, missing, missingInA }) => {
      const a = axes.map(({ length, shortA }) => (shortA ? 1 : length));
      const b = axes.map(({ length, shortB }) => (shortB ? 1 : length));
      const inputs: CaseInput[] = [
        { shape: missingInA ? a.slice(missing) : a, values: 'signed' },
        { shape: missingInA ? b : b.slice(missing), values: right },
      ];
      return { attributes: {}, inputs };
    });

export const elementwiseCases: CasesFor<ElementwiseOps> = {
  Add: binary('signed'),
  Sub: binary('signed'),
  Mul: binary('signed'),
  Div: binary('nonzero'),
  Neg: unary('signed'),
  Sqrt: unary('positive'),
  Exp: unary('signed'),
  Log: unary('positive'),
  Reciprocal: unary('nonzero'),
  // Not near the kink, where the difference quotient means nothing.
  Relu: unary('nonzero'),
  ReluGrad: shapeOf(0, 4).map((shape) => ({
    attributes: {},
    inputs: [
      { shape, values: 'signed' },
      { shape, values: 'rectified' },
    ],
  })),
  Sigmoid: unary('signed'),
};
