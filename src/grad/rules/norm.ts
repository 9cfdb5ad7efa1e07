/** Gradient of batch normalisation with batch statistics (Ioffe & Szegedy 2015, section 3). */
import { add, mul, reciprocal, reshape, sqrt, type Value } from '../../graph/index.js';
import type { NormOps } from '../../graph/ops/norm.js';
import { only, refused, type RulesFor } from '../rule.js';

export const normRules: RulesFor<NormOps> = {
  BatchNormTrain: (node, [dy, ...statistics]) => {
    const {
      inputs: [x, gamma],
      outputs: [, , , rstd, centred],
    } = node;
    if (!dy || statistics.some(Boolean)) {
      throw refused(node, 'GRADIENT_STATISTICS', 'only y can be differentiated, not its statistics');
    }
    return x!.graph.apply('BatchNormGrad', [dy, centred!, gamma!, rstd!], {});
  },
  BatchNormGrad: null,
  BatchNormInference: (node, cotangents, wanted) => {
    const {
      inputs: [x, gamma, , , variance],
      attributes: { epsilon },
    } = node;
    if (wanted.slice(1).some(Boolean)) {
      throw refused(node, 'GRADIENT_INFERENCE', 'only x can be differentiated, not parameters and statistics');
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
