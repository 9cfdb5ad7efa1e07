/**
 * Batch normalisation as `com.microsoft.BatchNormInternal` and `BatchNormalizationGrad`.
 *
 * BatchNormInternal writes its running statistics over its inputs 3 and 4. With momentum 0 these become the batch's own mean and variance, so it is given
 * scratch memory there; what becomes of the running statistics is said elsewhere, in the terms of the graph.
 */
import type { Value } from '../../graph/index.js';
import { type Emitter, f } from '../emitter.js';
import type { LoweringRule } from '../lower.js';
import { portableRules } from '../portable/index.js';
import { microsoft } from './operators.js';

interface BatchNormRules {
  readonly BatchNormTrain: LoweringRule<'BatchNormTrain'>;
  readonly BatchNormGrad: LoweringRule<'BatchNormGrad'>;
}

/** What the backward pass takes of the forward pass. */
interface Kept {
  readonly x: string;
  readonly mean: string;
  readonly rstd: string;
  readonly epsilon: number;
}

export function batchNormRules(): BatchNormRules {
  /** By the logical value x - mean, which is thereby not made. */
  const kept = new Map<Value, Kept>();
  return {
    BatchNormTrain: (emit, node, [x, gamma, beta]) => {
      const { epsilon } = node.attributes;
      const scratch = [scratchLike(emit, beta!, 0), scratchLike(emit, beta!, 1)];
      const [y, , variance, mean, rstd] = emit.multi(
        'BatchNormInternal',
        [x!, gamma!, beta!, ...scratch],
        5,
        { epsilon: f(epsilon), momentum: f(0), training_mode: 1 },
        microsoft,
      );
      kept.set(node.outputs[4]!, { x: x!, mean: mean!, rstd: rstd!, epsilon });
      const rank = node.inputs[0]!.shape.length;
      // Dropped where nothing reads it.
      const centred = emit.op('Sub', [x!, perChannel(emit, mean!, rank)]);
      return [y!, mean!, variance!, rstd!, centred];
    },
    BatchNormGrad: (emit, node, inputs) => {
      const forward = kept.get(node.inputs[1]!);
      if (!forward) return portableRules.BatchNormGrad(emit, node, inputs);
      const [dy, , gamma] = inputs;
      const { x, mean, rstd, epsilon } = forward;
      const attributes = { epsilon: f(epsilon) };
      return emit.multi('BatchNormalizationGrad', [dy!, x, gamma!, mean, rstd], 3, attributes, microsoft);
    },
  };
}

/** Memory of its own for each use: a product with a value that is only known at run time is not folded into a shared constant. */
function scratchLike(emit: Emitter, vector: string, start: number): string {
  return emit.op('Add', [emit.op('Mul', [vector, emit.floats([0], [])]), emit.floats([start], [])]);
}

function perChannel(emit: Emitter, vector: string, rank: number): string {
  return rank === 2 ? vector : emit.op('Reshape', [vector, emit.ints([1, -1, 1, 1])]);
}
