/** Cutting the trunk into local modules: which blocks each module has. */
import { InputError } from '../errors.js';
import type { Trunk } from '../networks/index.js';
import type { Recipe, SplitConfig } from '../recipe/types.js';
import { balancedCounts } from './balanced-split.js';

/**
 * Blocks per module of the published splits of a cifar-resnet, by number of blocks and by the K that the papers call them. K = 16 and K = 55 have one
 * module less than their name says.
 */
const cifarSplits: Readonly<Record<number, Readonly<Record<number, readonly number[]>>>> = {
  15: {
    2: [7, 8],
    3: [5, 5, 5],
    4: [3, 4, 4, 4],
    8: [1, ...repeat(2, 7)],
    16: repeat(1, 15),
  },
  54: {
    2: [27, 27],
    3: repeat(18, 3),
    4: [12, 14, 14, 14],
    8: [5, ...repeat(7, 7)],
    16: [2, ...repeat(3, 8), ...repeat(4, 7)],
    32: [2, 1, 2, 1, 2, 2, 2, 2, 1, 2, 1, 2, 1, 2, 1, 2, 2, 2, 2, 1, 2, 1, 2, 2, 1, 2, 1, 2, 2, 2, 2, 2],
    55: repeat(1, 54),
  },
};

/** Last blocks of all modules but the last, as HPFF's program for ImageNet has them (ResNet-50 shares those of ResNet-34). */
const shallowEnds = { 4: ['layer2.0', 'layer3.0', 'layer3.5'] };
const deepEnds = {
  4: ['layer3.0', 'layer3.9', 'layer3.17'],
  8: ['layer2.0', 'layer3.1', 'layer3.5', 'layer3.9', 'layer3.13', 'layer3.17', 'layer3.21'],
};
const imagenetSplits: Readonly<Record<number, Readonly<Record<number, readonly string[]>>>> = {
  34: shallowEnds,
  50: shallowEnds,
  101: deepEnds,
  152: deepEnds,
};

function repeat(value: number, count: number): number[] {
  return new Array<number>(count).fill(value);
}

/**
 * Indices [start, end) of each module's blocks. Plain back-propagation has one module, whatever the split says.
 *
 * @throws InputError where the split names a block that does not exist, asks for more modules than there are blocks, or for a balance that heads do not allow
 */
export function splitBlocks(trunk: Trunk, recipe: Recipe): readonly [number, number][] {
  const names = trunk.blocks.map((block) => block.name);
  if (recipe.local.rule === 'bp') return [[0, names.length]];
  const { split } = recipe;
  const counts = 'modules' in split ? countsFor(names, split, recipe) : countsTo(names, split.boundaries);
  let start = 0;
  return counts.map((count) => [start, (start += count)]);
}

/**
 * Named where a table has it and no balance is asked for. Elsewhere the blocks of a cifar-resnet, which are much alike, are counted: as even as can be, the longer
 * modules last, as in the published splits. Those of other networks are balanced by memory.
 */
function countsFor(
  names: readonly string[],
  { modules, balance }: Extract<SplitConfig, { modules: number }>,
  recipe: Recipe,
): readonly number[] {
  if (balance) return balancedCounts(recipe, modules, balance);
  const { network } = recipe;
  if (network.type === 'cifar-resnet') return cifarSplits[names.length]?.[modules] ?? evenCounts(names.length, modules);
  const ends = network.type === 'imagenet-resnet' ? imagenetSplits[network.depth]?.[modules] : undefined;
  return ends ? countsTo(names, [...ends, names.at(-1)!]) : balancedCounts(recipe, modules, 'memory');
}

function evenCounts(blocks: number, modules: number): readonly number[] {
  if (modules > blocks) {
    throw new InputError(
      'SPLIT_TOO_MANY_MODULES',
      `split.modules: found ${modules}, allowed: 1 to ${blocks}, the number of blocks`,
    );
  }
  const short = Math.floor(blocks / modules);
  const longer = blocks % modules;
  return [...repeat(short, modules - longer), ...repeat(short + 1, longer)];
}

function countsTo(names: readonly string[], boundaries: readonly string[]): readonly number[] {
  let start = 0;
  const counts = boundaries.map((boundary) => {
    const end = names.indexOf(boundary) + 1;
    if (end <= start) {
      throw new InputError(
        'SPLIT_UNKNOWN_BLOCK',
        `split.boundaries: found '${boundary}', allowed: a block after ${start ? `'${names[start - 1]}'` : 'the stem'}, of ${names.join(', ')}`,
      );
    }
    const count = end - start;
    start = end;
    return count;
  });
  if (start !== names.length) {
    throw new InputError(
      'SPLIT_INCOMPLETE',
      `split.boundaries: the last is '${boundaries.at(-1)}', allowed: '${names.at(-1)}', the network's last block`,
    );
  }
  return counts;
}
