/** Images for comparisons of lowerings to the last digits. */
import type { HostTensor, NamedTensors } from '../../src/files/tensor.js';
import type { Recipe } from '../../src/recipe/index.js';
import { tiesWithPortable } from './relu-ties.js';
import { noiseImages } from './small-recipe.js';

/** One in a hundred thousand units or so lies within rounding of zero. */
const TRIES = 20;

/**
 * Standard normal images [N, C, H, W] for which the portable lowering and this CPU's choice let the same units of every ReLU pass, so that nothing but
 * rounding may tell their gradients apart. Which images these are depends on the CPU's kernels.
 *
 * @param weights by parameter name
 */
export async function untiedImages(
  recipe: Recipe,
  weights: NamedTensors,
  label: HostTensor<'int64'>,
): Promise<HostTensor<'float32'>> {
  for (let seed = 1; seed <= TRIES; seed++) {
    const image = noiseImages({ ...recipe, seed }, label.shape[0]!);
    const values = new Map<string, HostTensor>([...weights, ['image', image], ['label', label]]);
    if ((await tiesWithPortable(recipe, values)).length === 0) return image;
  }
  throw new Error(`all of ${TRIES} batches have units within rounding of zero: are the activations wrong?`);
}
