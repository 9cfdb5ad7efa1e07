/** Gradient clipping by norm (Pascanu et al. 2013). */
import { add, addAll, div, mul, reduceSum, relu, sqrt, sub, type Value } from '../graph/index.js';

/**
 * The gradients times min(1, largest / norm), where norm is the L2 norm of all their elements together. Shorter ones come out as they went in, to the bit.
 * A norm that is no finite number (a gradient is not, or its square overflows float32) makes every result NaN: so the step is seen to have failed.
 *
 * @param gradients at least one
 */
export function clipByGlobalNorm(gradients: readonly Value[], largest: number): Value[] {
  const norm = sqrt(addAll(gradients.map((gradient) => reduceSum(mul(gradient, gradient)))));
  // max(norm, largest), which is `largest` exactly for shorter gradients.
  const atLeast = add(relu(sub(norm, largest)), largest);
  // 0 unless the norm is infinite or NaN.
  const failure = sub(norm, norm);
  const factor = add(div(largest, atLeast), failure);
  return gradients.map((gradient) => mul(gradient, factor));
}
