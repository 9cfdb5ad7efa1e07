/**
 * A training graph's forward pass as an evaluation model has it. Batch norms that have running statistics among the slice's inputs use those; the others, in
 * heads, keep to the batch's. Patches need not wait for one another's backward pass.
 */
import { f } from '../emitter.js';
import type { LoweringRule } from '../lower.js';
import type { GraphSlice } from '../slice.js';
import { batchNormRules } from './norm.js';

interface EvaluationRules {
  readonly BatchNormTrain: LoweringRule<'BatchNormTrain'>;
  readonly After: LoweringRule<'After'>;
}

export function evaluationRules(slice: GraphSlice): EvaluationRules {
  const withBatch = batchNormRules().BatchNormTrain;
  const entering = new Set(slice.inputs.map(({ name }) => name));
  return {
    BatchNormTrain: (emit, node, inputs) => {
      const [mean, variance] = statisticsOf(inputs[1]!);
      if (!entering.has(mean) || !entering.has(variance)) return withBatch(emit, node, inputs);
      const epsilon = f(node.attributes.epsilon);
      const y = emit.op('BatchNormalization', [...inputs, mean, variance], { epsilon });
      // Nothing of an evaluation reads what only training has.
      return [y, mean, variance, variance, y];
    },
    After: (_emit, _node, [x]) => [x!],
  };
}

/** Names of the running mean and variance of the batch norm that has a scale. */
export function statisticsOf(scale: string): readonly [string, string] {
  const layer = scale.replace(/\.weight$/, '');
  return [`${layer}.running_mean`, `${layer}.running_var`];
}
