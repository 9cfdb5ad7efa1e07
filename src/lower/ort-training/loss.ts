/**
 * Cross-entropy as `com.microsoft.SoftmaxCrossEntropyLossInternal` and its gradient, as ONNX Runtime's own training graphs have it. They take labels, no
 * targets: what is smoothed is written portably.
 */
import type { Value } from '../../graph/index.js';
import type { Emitter } from '../emitter.js';
import type { LoweringRule } from '../lower.js';
import { lossLowering } from '../portable/loss.js';
import { microsoft } from './operators.js';

interface LossRules {
  readonly SoftmaxCrossEntropy: LoweringRule<'SoftmaxCrossEntropy'>;
  readonly SoftmaxCrossEntropyGrad: LoweringRule<'SoftmaxCrossEntropyGrad'>;
}

const reduction = { reduction: 'mean' } as const;

export function lossRules(): LossRules {
  /** Log-probabilities by logits. */
  const known = new Map<Value, string>();
  const forward = (emit: Emitter, logits: Value, [z, labels]: readonly string[]): string[] => {
    const outputs = emit.multi('SoftmaxCrossEntropyLossInternal', [z!, labels!], 2, reduction, microsoft);
    known.set(logits, outputs[1]!);
    return outputs;
  };
  return {
    SoftmaxCrossEntropy: (emit, node, inputs) => {
      if (node.attributes.smoothing > 0) return lossLowering.SoftmaxCrossEntropy(emit, node, inputs);
      return [forward(emit, node.inputs[0]!, inputs)[0]!];
    },
    SoftmaxCrossEntropyGrad: (emit, node, operands) => {
      if (node.attributes.smoothing > 0) return lossLowering.SoftmaxCrossEntropyGrad(emit, node, operands);
      const [logits] = node.inputs;
      const [z, labels, cotangent] = operands;
      const logProbabilities = known.get(logits!) ?? forward(emit, logits!, [z!, labels!])[1]!;
      const inputs = [cotangent!, logProbabilities, labels!];
      return [emit.op('SoftmaxCrossEntropyLossInternalGrad', inputs, reduction, microsoft)];
    },
  };
}
