/** Recipes small enough for tests, and weights that look trained. */
import { readFileSync } from 'node:fs';
import { elementCount, float32, type HostTensor, type NamedTensors } from '../../src/files/tensor.js';
import { initialWeights } from '../../src/local/index.js';
import { Random } from '../../src/random.js';
import { parseRecipe, type CifarResnetConfig, type Recipe } from '../../src/recipe/index.js';

const digits = JSON.parse(readFileSync(new URL('../../graphs/digits-hpff.json', import.meta.url), 'utf8')) as {
  network: CifarResnetConfig;
};

/** `graphs/digits-hpff.json` with a narrow network of depth 8 in 3 modules, or another one. */
export function smallRecipe(network: Partial<CifarResnetConfig> = {}): Recipe {
  const narrow = { ...digits.network, depth: 8, widths: [4, 4, 8, 8], ...network };
  return parseRecipe({ ...digits, network: narrow, split: { modules: 3 } }, 'small recipe');
}

/** Initial weights but for batch norm, whose parameters and statistics are drawn at random: each folds into something else. */
export function trainedWeights(recipe: Recipe, seed = 1): NamedTensors {
  return new Map(
    [...initialWeights(recipe, seed)].map(([name, tensor]) => {
      if (!/\.bn\d?\./.test(name)) return [name, tensor];
      const random = new Random(seed, 'trained', name);
      const positive = /\.(weight|running_var)$/.test(name);
      return [name, drawn(tensor.shape, () => (positive ? 0.3 + random.uniform() : 0.5 * random.normal()))];
    }),
  );
}

/** Standard normal images [count, C, H, W]. */
export function noiseImages(recipe: Recipe, count: number): HostTensor<'float32'> {
  const random = new Random(recipe.seed, 'images');
  return drawn([count, ...recipe.network.image], () => random.normal());
}

function drawn(shape: readonly number[], draw: () => number): HostTensor<'float32'> {
  return float32(shape, Float32Array.from({ length: elementCount(shape) }, draw));
}
