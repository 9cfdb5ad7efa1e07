/** Gradients of the losses with respect to the logits; targets are data. */
import type { LossOps } from '../../graph/ops/loss.js';
import { only, refused, type RulesFor } from '../rule.js';

export const lossRules: RulesFor<LossOps> = {
  SoftmaxCrossEntropy: ({ inputs: [logits, labels], attributes }, cotangents) => [
    logits!.graph.apply('SoftmaxCrossEntropyGrad', [logits!, labels!, only(cotangents)], attributes)[0],
    undefined,
  ],
  SoftmaxCrossEntropyGrad: null,
  BinaryCrossEntropy: (node, cotangents, [, wantTargets]) => {
    const [logits, targets] = node.inputs;
    if (wantTargets) throw refused(node, 'GRADIENT_TARGETS', 'targets cannot be differentiated');
    return [logits!.graph.apply('BinaryCrossEntropyGrad', [logits!, targets!, only(cotangents)], {})[0], undefined];
  },
  BinaryCrossEntropyGrad: null,
};
