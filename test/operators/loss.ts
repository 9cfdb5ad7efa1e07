/** Random losses. */
import fc from 'fast-check';
import type { LossOps } from '../../src/graph/ops/loss.js';
import { type CaseInput, type CasesFor, int, shapeOf, signed } from './case.js';

const classification = fc
  .record({ batch: int(1, 5), classes: int(1, 6) })
  .map(({ batch, classes }): CaseInput[] => [
    signed([batch, classes]),
    { shape: [batch], values: { labels: classes }, fixed: true },
  ]);

const binary = shapeOf(0, 4).map((shape): CaseInput[] => [signed(shape), { shape, values: 'fraction', fixed: true }]);

const cotangent = signed([]);

export const lossCases: CasesFor<LossOps> = {
  SoftmaxCrossEntropy: classification.map((inputs) => ({ attributes: {}, inputs })),
  SoftmaxCrossEntropyGrad: classification.map((inputs) => ({ attributes: {}, inputs: [...inputs, cotangent] })),
  BinaryCrossEntropy: binary.map((inputs) => ({ attributes: {}, inputs })),
  BinaryCrossEntropyGrad: binary.map((inputs) => ({ attributes: {}, inputs: [...inputs, cotangent] })),
};
