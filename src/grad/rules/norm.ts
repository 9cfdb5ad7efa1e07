/** Gradient of batch normalisation with batch statistics (Ioffe & Szegedy 2015, section 3). */
import { UsageError } from '../../errors.js';
import { add, mul, reciprocal, reshape, sqrt, type Value } from '../../graph/index.js';
import type { NormOps } from '../../graph/ops/norm.js';
import { only, type RulesFor } from '../rule.js';

export const normRules: RulesFor<NormOps> = {
  BatchNormTrain: ({ inputs: [x, gamma], outputs: [, mean, , rstd] }, [dy, ...statistics]) => {
    if (!dy || statistics.some(Boolean)) {
      throw new UsageError('GRADIENT_STATISTICS', 'BatchNormTrain: only y can be differentiated, not its statistics');
    }
    return x!.graph.apply('BatchNormGrad', [dy, x!, gamma!, mean!, rstd!], {});
  },
  BatchNormGrad: null,
  BatchNormInference: ({ inputs: [x, gamma, , , variance], attributes: { epsilon } }, cotangents, wanted) => {
    if (wanted.slice(1).some(Boolean)) {
      throw new UsageError('GRADIENT_INFERENCE', 'BatchNormInference: only x can be differentiated');
    }
    const scale = mul(gamma!, reciprocal(sqrt(add(variance!, epsilon))));
    return [mul(only(cotangents), perChannel(scale, x!.shape.length))];
  },
};

function perChannel(vector: Value, rank: number): Value {
  return reshape(
    vector,
    Array.from({ length: rank }, (_, axis) => (axis === 1 ? vector.shape[0]! : 1)),
  );
}
