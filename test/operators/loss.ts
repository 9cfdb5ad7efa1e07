/** Random losses. */
import fc from 'fast-check';
import type { LossOps } from '../../src/graph/ops/loss.js';
import { type CaseInput, type CasesFor, int, shapeOf, signed } from './case.js';

interface Classification {
  readonly attributes: { readonly smoothing: number };
  readonly inputs: readonly CaseInput[];
}

const classification = fc
  .record({ batch: int(1, 5), classes: int(1, 6), smoothing: fc.constantFrom(0, 0.1, 0.5, 1) })
  .map(({ batch, classes, smoothing }): Classification => {
    const labels = { shape: [batch], values: { labels: classes }, fixed: true };
    return { attributes: { smoothing }, inputs: [signed([batch, classes]), labels] };
  });

const binary = shapeOf(0, 4).map((shape): CaseInput[] => [signed(shape), { shape, values: 'fraction', fixed: true }]);

const cotangent = signed([]);

export const lossCases: CasesFor<LossOps> = {
  SoftmaxCrossEntropy: classification,
  SoftmaxCrossEntropyGrad: classification.map(({ attributes, inputs }) => ({
    attributes,
    inputs: [...inputs, cotangent],
  })),
  BinaryCrossEntropy: binary.map((inputs) => ({ attributes: {}, inputs })),
  BinaryCrossEntropyGrad: binary.map((inputs) => ({ attributes: {}, inputs: [...inputs, cotangent] })),
};
