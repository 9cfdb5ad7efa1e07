/** Cutting the trunk into local modules: which blocks each module has. */
import { InputError } from '../errors.js';
import type { Trunk } from '../networks/index.js';
import type { Recipe } from '../recipe/types.js';

/**
 * Blocks per module of the published splits, by number of blocks and by the K that the papers call them. K = 16 and K = 55 have one
 * module less than their name says.
 */
const namedSplits: Readonly<Record<number, Readonly<Record<number, readonly number[]>>>> = {
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

function repeat(value: number, count: number): number[] {
  return new Array<number>(count).fill(value);
}

/**
 * Indices [start, end) of each module's blocks. Plain back-propagation has one module, whatever the split says.
 *
 * @throws InputError where the split names a block that does not exist or asks for more modules than there are blocks
 */
export function splitBlocks(trunk: Trunk, recipe: Pick<Recipe, 'split' | 'local'>): readonly [number, number][] {
  const names = trunk.blocks.map((block) => block.name);
  if (recipe.local.rule === 'bp') return [[0, names.length]];
  const counts =
    'modules' in recipe.split
      ? countsFor(names.length, recipe.split.modules)
      : countsTo(names, recipe.split.boundaries);
  let start = 0;
  return counts.map((count) => [start, (start += count)]);
}

/** Named where a table has it; elsewhere as even as can be, the longer modules last, as in the published splits. */
function countsFor(blocks: number, modules: number): readonly number[] {
  const named = namedSplits[blocks]?.[modules];
  if (named) return named;
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
