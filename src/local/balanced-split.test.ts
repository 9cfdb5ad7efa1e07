/** Published and balanced splits of networks whose blocks differ. */
import { describe, expect, test } from 'vitest';
import { parseRecipe, type Recipe } from '../recipe/index.js';
import { blockCosts } from './block-costs.js';
import { buildStep, moduleCosts, splitBlocks } from './index.js';
import { createTrunk } from '../networks/index.js';

const patches = { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' };

function recipeOf(network: object, split: object, local: object = {}): Recipe {
  return parseRecipe(
    {
      network: { classes: 10, image: [3, 64, 64], ...network },
      split,
      local: { rule: 'infopro', hierarchy: { independent: 0.1, cascade: 0.9 }, ...local },
      optimizer: { type: 'sgd', learningRate: 0.1 },
      schedule: { type: 'constant', epochs: 1 },
      data: { dataset: 'cifar10', batch: 4 },
    },
    'split',
  );
}

const lastBlocks = (recipe: Recipe): string[] => {
  const trunk = createTrunk(recipe.network);
  return splitBlocks(trunk, recipe).map(([, end]) => trunk.blocks[end - 1]!.name);
};

const resnet = (depth: number): object => ({ type: 'imagenet-resnet', depth, width: 8 });
const vgg = (depth: number): object => ({ type: 'vgg', depth, width: 8 });

describe('published splits', () => {
  test.each([
    [50, 4, ['layer2.0', 'layer3.0', 'layer3.5', 'layer4.2']],
    [101, 4, ['layer3.0', 'layer3.9', 'layer3.17', 'layer4.2']],
    [152, 4, ['layer3.0', 'layer3.9', 'layer3.17', 'layer4.2']],
    [101, 8, ['layer2.0', 'layer3.1', 'layer3.5', 'layer3.9', 'layer3.13', 'layer3.17', 'layer3.21', 'layer4.2']],
  ])('depth %i, %i modules', (depth, modules, expected) => {
    expect(lastBlocks(recipeOf(resnet(depth), { modules }))).toEqual(expected);
  });

  test('elsewhere memory is balanced', () => {
    for (const network of [resnet(101), vgg(16)]) {
      const balanced = lastBlocks(recipeOf(network, { modules: 2, balance: 'memory' }));
      expect(lastBlocks(recipeOf(network, { modules: 2 }))).toEqual(balanced);
    }
  });
});

describe('balanced splits', () => {
  const largest = (recipe: Recipe, by: 'memory' | 'time'): number =>
    Math.max(
      ...moduleCosts(buildStep(recipe, 8)).map(({ activationBytes, headBytes, flops }) =>
        by === 'memory' ? activationBytes + headBytes : flops,
      ),
    );

  test.each([
    ['memory', resnet(18)],
    ['time', resnet(18)],
    ['memory', vgg(11)],
    ['time', vgg(11)],
  ] as const)('by %s, %j: no other cut into three does noticeably better, as inspect counts', (by, network) => {
    const balanced = largest(recipeOf(network, { modules: 3, balance: by }), by);
    const names = blockCosts(recipeOf(network, { modules: 3 })).map(({ name }) => name);
    for (let first = 0; first < names.length - 2; first++) {
      for (let second = first + 1; second < names.length - 1; second++) {
        const boundaries = [names[first]!, names[second]!, names.at(-1)!];
        // The first convolution of a module needs no input gradient, which the costs of blocks do not know.
        expect(balanced, boundaries.join()).toBeLessThan(1.1 * largest(recipeOf(network, { boundaries }), by));
      }
    }
  });

  test('memory and time ask for other cuts', () => {
    const [memory, time] = (['memory', 'time'] as const).map((balance) =>
      lastBlocks(recipeOf(resnet(50), { modules: 4, balance })),
    );
    expect(memory).not.toEqual(time);
  });

  test('a cifar-resnet is balanced where that is asked for', () => {
    const network = { type: 'cifar-resnet', depth: 32, image: [3, 32, 32] };
    expect(lastBlocks(recipeOf(network, { modules: 4 }))).toEqual(['layer1.2', 'layer2.1', 'layer3.0', 'layer3.4']);
    const counts = lastBlocks(recipeOf(network, { modules: 4, balance: 'memory' }));
    expect(counts).toHaveLength(4);
    expect(counts).not.toEqual(['layer1.2', 'layer2.1', 'layer3.0', 'layer3.4']);
  });

  test('no module ends where patches do not divide the map', () => {
    // 72 pixels: maps of 18, 9, 5 and 3.
    const network = { ...resnet(18), image: [3, 72, 72] };
    expect(lastBlocks(recipeOf(network, { modules: 3, balance: 'time' }, { patches }))).toEqual([
      expect.stringMatching(/./),
      'layer1.1',
      'layer4.1',
    ]);
    expect(() => lastBlocks(recipeOf(network, { modules: 5, balance: 'time' }, { patches }))).toThrow(
      'local.patches.grid: found 2, allowed: a divisor of the feature maps, of which one is 9 × 9',
    );
  });

  test('do not depend on the batch', () => {
    const recipe = recipeOf(resnet(18), { modules: 4, balance: 'memory' });
    const larger = { ...recipe, data: { ...recipe.data, batch: 512 } };
    expect(lastBlocks(larger)).toEqual(lastBlocks(recipe));
  });
});
