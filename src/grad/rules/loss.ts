/** Gradients of the losses with respect to the logits; targets are data. */
import { UsageError } from '../../errors.js';
import type { LossOps } from '../../graph/ops/loss.js';
import { only, type RulesFor } from '../rule.js';

export const lossRules: RulesFor<LossOps> = {
  SoftmaxCrossEntropy: ({ inputs: [logits, labels] }, cotangents) => [
    logits!.graph.apply('SoftmaxCrossEntropyGrad', [logits!, labels!, only(cotangents)], {})[0],
    undefined,
  ],
  SoftmaxCrossEntropyGrad: null,
  BinaryCrossEntropy: ({ inputs: [logits, targets] }, cotangents, [, wantTargets]) => {
    if (wantTargets) throw new UsageError('GRADIENT_TARGETS', 'BinaryCrossEntropy: targets cannot be differentiated');
    return [logits!.graph.apply('BinaryCrossEntropyGrad', [logits!, targets!, only(cotangents)], {})[0], undefined];
  },
  BinaryCrossEntropyGrad: null,
};
