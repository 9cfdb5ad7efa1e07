/** Splits whose most demanding module demands as little as can be, in memory or in time, as predicted from the graph. */
import { InputError } from '../errors.js';
import type { Recipe } from '../recipe/types.js';
import { type BlockCost, blockCosts } from './block-costs.js';
import { partition } from './partition.js';

/**
 * `memory`: what a module's forward pass keeps for its backward passes, and the most that its heads have alive at once. `time`: floating-point operations of
 * its forward pass, relay, update and heads.
 */
export type BalanceBy = 'memory' | 'time';

/**
 * Blocks of each module. A module does not end where the heads would not fit, as patches do not on maps that they do not divide.
 *
 * @throws InputError for more modules than blocks, and where no such split exists: why heads do not fit
 */
export function balancedCounts(recipe: Recipe, modules: number, by: BalanceBy): readonly number[] {
  const costs = blockCosts(recipe);
  const cost = by === 'memory' ? moduleBytes : moduleFlops;
  return countsBy(recipe, costs, modules, (begin, end) => cost(costs, begin, end, hasRelays(recipe)));
}

/** @param cost of a module of the blocks from `begin` to `end`; it need not know where heads do not fit */
export function countsBy(
  recipe: Recipe,
  blocks: readonly Pick<BlockCost, 'heads'>[],
  modules: number,
  cost: (begin: number, end: number) => number,
): readonly number[] {
  if (modules > blocks.length) {
    throw new InputError(
      'SPLIT_TOO_MANY_MODULES',
      `split.modules: found ${modules}, allowed: 1 to ${blocks.length}, the number of blocks`,
    );
  }
  const fits = (begin: number, end: number): boolean =>
    !hasHeads(begin, end, blocks.length, hasRelays(recipe)) || !(blocks[end - 1]!.heads instanceof InputError);
  const ends = partition(blocks.length, modules, (begin, end) => (fits(begin, end) ? cost(begin, end) : Infinity));
  if (!ends) throw blocks.find(({ heads }) => heads instanceof InputError)!.heads as InputError;
  return ends.map((end, i) => end - (ends[i - 1] ?? 0));
}

/** Whether modules send gradients to those below, so that the first is supervised by its neighbour and has no heads. */
const hasRelays = ({ local }: Recipe): boolean => (local.hierarchy?.cascade ?? 0) > 0;

const hasHeads = (begin: number, end: number, blocks: number, relays: boolean): boolean =>
  end < blocks && !(relays && begin === 0);

const sum = (costs: readonly BlockCost[], pick: (cost: BlockCost) => number): number =>
  costs.reduce((total, cost) => total + pick(cost), 0);

function headsOf(costs: readonly BlockCost[], begin: number, end: number, relays: boolean): BlockCost['heads'] {
  return hasHeads(begin, end, costs.length, relays) ? costs[end - 1]!.heads : null;
}

function moduleBytes(costs: readonly BlockCost[], begin: number, end: number, relays: boolean): number {
  const heads = headsOf(costs, begin, end, relays);
  const kept = sum(costs.slice(begin, end), ({ keptBytes }) => keptBytes);
  return heads && !(heads instanceof InputError) ? kept + heads.aliveBytes : kept;
}

/** The relay of a module between the first and the last is a backward pass of its own, without gradients of parameters: as much as the forward pass. */
function moduleFlops(costs: readonly BlockCost[], begin: number, end: number, relays: boolean): number {
  const heads = headsOf(costs, begin, end, relays);
  const own = costs.slice(begin, end);
  const forward = sum(own, ({ forwardFlops }) => forwardFlops);
  const relay = relays && begin > 0 && end < costs.length ? forward : 0;
  const trunk = forward + relay + sum(own, ({ backwardFlops }) => backwardFlops);
  return heads && !(heads instanceof InputError) ? trunk + heads.flops : trunk;
}
