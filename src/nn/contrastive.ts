/** Supervised contrastive loss (Khosla et al. 2020, equation 2), one view per image. */
import {
  add,
  div,
  exp,
  log,
  matmul,
  mul,
  neg,
  oneHot,
  reduceMean,
  reduceSum,
  relu,
  sqrt,
  staticDim,
  sub,
  type Value,
} from '../graph/index.js';

/**
 * Mean over anchors i of -1/|P(i)| Σ_{p ∈ P(i)} log(e^{z_i·z_p/τ} / Σ_{a ≠ i} e^{z_i·z_a/τ}), where z is `features` with
 * rows of length 1 and P(i) are the other images of the anchor's class; an anchor without any counts as 0.
 *
 * @param features [N, f]
 * @param labels int64 [N]
 * @returns shape []
 */
export function supervisedContrastive(features: Value, labels: Value, classes: number, temperature: number): Value {
  const batch = staticDim(features.shape, 0);
  const norm = sqrt(add(reduceSum(mul(features, features), [1], true), 1e-12));
  const z = div(features, norm);
  // Cosines are at most 1: subtracting 1 keeps every exponent at or below 0.
  const similarity = mul(sub(matmul(z, z, { transB: true }), 1), 1 / temperature);
  const others = notSelf(features, batch);
  const partition = reduceSum(mul(exp(similarity), others), [1], true);
  // An image that is alone in its batch has no partition; its logarithm only has to be finite.
  const logProbability = sub(similarity, log(add(partition, 1e-30)));
  const classOf = oneHot(labels, classes);
  const positives = mul(matmul(classOf, classOf, { transB: true }), others);
  const count = reduceSum(positives, [1]);
  const atLeastOne = add(count, relu(sub(1, count)));
  return neg(reduceMean(div(reduceSum(mul(positives, logProbability), [1]), atLeastOne)));
}

/** [N, N] of ones with a zero diagonal. */
function notSelf(x: Value, batch: number): Value {
  const data = new Float32Array(batch * batch).fill(1);
  for (let i = 0; i < batch; i++) data[i * batch + i] = 0;
  return x.graph.constant({ dtype: 'float32', shape: [batch, batch], data });
}
