/** One HPFF step of each kind of network: all schedules and lowerings against each other. Operators and method are held against float64 elsewhere. */
import { describe, expect, test } from 'vitest';
import type { HostTensor } from '../src/files/tensor.js';
import { initialWeights } from '../src/local/index.js';
import { trainOnBatch } from '../src/pipeline/index.js';
import { parseRecipe, type Recipe } from '../src/recipe/index.js';
import { untiedImages } from './support/untied-images.js';

/** Enough for the blocked kernels of every CPU. */
const batch = 16;

function recipeOf(network: object, boundaries: readonly string[], local: object): Recipe {
  return parseRecipe(
    {
      network: { classes: 4, image: [3, 32, 32], ...network },
      split: { boundaries },
      local: { hierarchy: { independent: 0.3, cascade: 0.7 }, ...local },
      optimizer: { type: 'sgd', learningRate: 0.05 },
      schedule: { type: 'constant', epochs: 1 },
      data: { dataset: 'cifar10', batch },
    },
    'network',
  );
}

const patches = { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' };
const infopro = { rule: 'infopro', lambda: { decoder: [5, 1], classifier: [0.5, 1] }, patches };

const imagenetHeads = { classifier: { net: 'imagenet' }, decoder: { net: 'imagenet' } };

/** Name and recipe. */
const networks: [string, Recipe][] = [
  [
    'basic blocks',
    recipeOf({ type: 'imagenet-resnet', depth: 18, width: 4 }, ['layer1.1', 'layer2.1', 'layer4.1'], infopro),
  ],
  [
    'grouped bottlenecks, heads for ImageNet',
    recipeOf(
      { type: 'imagenet-resnet', depth: 50, width: 8, groups: 4, widthPerGroup: 32 },
      ['layer2.0', 'layer3.2', 'layer4.2'],
      { ...infopro, ...imagenetHeads },
    ),
  ],
  [
    'VGG',
    recipeOf(
      { type: 'vgg', depth: 11, width: 4, hidden: 24, image: [3, 32, 40] },
      ['layer2.0', 'layer3.0', 'layer5.1'],
      infopro,
    ),
  ],
];

const ways = [
  { schedule: 'fused', lowering: 'portable' },
  { schedule: 'sync', lowering: 'portable' },
  { schedule: 'fused', lowering: 'auto' },
  { schedule: 'sync', lowering: 'auto' },
];

/** ‖a - b‖ / ‖b‖, where what cancels to next to nothing counts as a thousandth of `least`. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>, least: number): number {
  let [difference, norm] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    norm += b[i]! ** 2;
  }
  return Math.sqrt(difference) / Math.max(Math.sqrt(norm), least / 1000);
}

const normOf = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0));

const numbers = (tensor: HostTensor): Float32Array => tensor.data as Float32Array;

describe.each(networks)('%s', (_name, recipe) => {
  const weights = initialWeights(recipe);
  const label = {
    dtype: 'int64',
    shape: [batch],
    data: BigInt64Array.from({ length: batch }, (_, i) => BigInt(i % 4)),
  } as const;

  test('fused, sync, portable and blocked give the same losses and gradients', async () => {
    const image = await untiedImages(recipe, weights, label);
    const [expected, ...others] = await inTurn(ways, (way) =>
      trainOnBatch(recipe, weights, { image, label }, { ...way, threads: 1 }, { weights: 'weights' }),
    );
    const names = [...expected!.keys()].filter((name) => name.startsWith('grad/'));
    const least = Math.max(...names.map((name) => normOf(numbers(expected!.get(name)!))));
    others.forEach((found, i) => {
      for (const [name, tensor] of expected!) {
        if (name.startsWith('param/')) continue;
        const error = distance(numbers(found.get(name)!), numbers(tensor), name.startsWith('grad/') ? least : 0);
        expect(error, `${ways[i + 1]!.schedule} ${ways[i + 1]!.lowering} ${name}`).toBeLessThan(1e-4);
      }
    });
  }, 120_000);
});

async function inTurn<A, B>(values: readonly A[], run: (value: A) => Promise<B>): Promise<B[]> {
  const results: B[] = [];
  for (const value of values) results.push(await run(value));
  return results;
}
