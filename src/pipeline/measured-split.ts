/** Splits by measured times: each block trained as a module of its own for a few steps on noise, and neighbours joined such that the slowest module is as fast as can be. */
import { syntheticBatch } from '../data/synthetic.js';
import { InputError } from '../errors.js';
import { blockCosts, initialWeights, partition, type Phase } from '../local/index.js';
import { Random } from '../random.js';
import type { LambdaPair, Recipe } from '../recipe/types.js';
import { openEngine } from './open-engine.js';

/** What a run of blocks takes that no module can be cut within, in milliseconds: the shortest of a few steps. */
export interface MeasuredBlocks {
  /** Names of the blocks: one, or several where heads do not fit behind the others. */
  readonly blocks: readonly string[];
  readonly milliseconds: Readonly<Record<Phase, number>>;
}

export interface MeasuredSplit {
  readonly lowering: string;
  readonly measured: readonly MeasuredBlocks[];
  /** Last block of each module. */
  readonly boundaries: readonly string[];
  /** What each module is expected to take. */
  readonly milliseconds: readonly number[];
}

export interface MeasureOptions {
  readonly modules: number;
  /** Default `auto`. */
  readonly lowering?: string;
  /** Default 1. */
  readonly threads?: number;
}

/** After the first step, which pays for memory that later ones find there. */
const STEPS = 3;

/**
 * @throws InputError for more modules than blocks behind which heads fit, for rule bp, and as `openEngine`
 */
export async function measureSplit(recipe: Recipe, options: MeasureOptions): Promise<MeasuredSplit> {
  if (recipe.local.rule === 'bp') {
    throw new InputError('MEASURE_RULE', '--measure: found rule bp, allowed: a rule with local modules');
  }
  const runs = cuttable(recipe);
  if (options.modules > runs.length) {
    const allowed = `1 to ${runs.length}, the blocks of ${recipe.name} behind which its heads fit`;
    throw new InputError('MEASURE_MODULES', `--modules: found ${options.modules}, allowed: ${allowed}`);
  }
  const { lowering, times } = await measure(finest(recipe, runs), options);
  const measured = runs.map((blocks, i) => ({ blocks, milliseconds: times[i]! }));
  const cost = moduleCost(recipe, measured);
  const ends = partition(runs.length, options.modules, cost)!;
  return {
    lowering,
    measured,
    boundaries: ends.map((end) => runs[end - 1]!.at(-1)!),
    milliseconds: ends.map((end, i) => cost(ends[i - 1] ?? 0, end)),
  };
}

/** Blocks in runs that end where heads fit, or with the last block. */
function cuttable(recipe: Recipe): string[][] {
  const runs: string[][] = [[]];
  for (const { name, heads } of blockCosts(recipe)) {
    runs.at(-1)!.push(name);
    if (!(heads instanceof InputError)) runs.push([]);
  }
  return runs.slice(0, -1);
}

/** Each run a module, and all heads with the weights that they have in the middle of the network, so that none is left out. */
function finest(recipe: Recipe, runs: readonly (readonly string[])[]): Recipe {
  const middle = ([first, last]: LambdaPair): LambdaPair => [(first + last) / 2, (first + last) / 2];
  const { decoder, similarity, classifier } = recipe.local.lambda;
  const lambda = { decoder: middle(decoder), similarity: middle(similarity), classifier: middle(classifier) };
  return {
    ...recipe,
    split: { boundaries: runs.map((blocks) => blocks.at(-1)!) },
    local: { ...recipe.local, lambda },
  };
}

async function measure(
  recipe: Recipe,
  { lowering, threads = 1 }: MeasureOptions,
): Promise<{ lowering: string; times: Record<Phase, number>[] }> {
  let step: Record<Phase, number>[] = [];
  const nothing = (): Record<Phase, number> => ({ forward: 0, heads: 0, relay: 0, update: 0 });
  const open = await openEngine(recipe, {
    schedule: 'async',
    stages: 1,
    threads,
    ...(lowering === undefined ? {} : { lowering }),
    trace: ({ module, phase, begin, end }) => {
      step[module] ??= nothing();
      step[module][phase] += end - begin;
    },
  });
  try {
    open.engine.load(initialWeights(recipe));
    const batch = syntheticBatch(recipe, new Random(0, 'measured split'));
    const shortest: Record<Phase, number>[] = [];
    for (let count = 0; count <= STEPS; count++) {
      step = [];
      await open.engine.step(batch, 0, count + 1);
      if (count === 0) continue;
      step.forEach((times, module) => {
        const known = (shortest[module] ??= { ...times });
        for (const phase of Object.keys(times) as Phase[]) known[phase] = Math.min(known[phase], times[phase]);
      });
    }
    return { lowering: open.lowering.lowering.name, times: shortest };
  } finally {
    open.dispose();
  }
}

/** A module has the heads of its last block; with relays the first has none, and neither the first nor the last has a relay of its own. */
function moduleCost(recipe: Recipe, measured: readonly MeasuredBlocks[]): (begin: number, end: number) => number {
  const relays = (recipe.local.hierarchy?.cascade ?? 0) > 0;
  const isLast = (end: number): boolean => end === measured.length;
  return (begin, end) => {
    const own = measured.slice(begin, end).map(({ milliseconds }) => milliseconds);
    const hasRelay = relays && begin > 0 && !isLast(end);
    const trunk = own.reduce((sum, { forward, relay, update }) => sum + forward + update + (hasRelay ? relay : 0), 0);
    return relays && begin === 0 && !isLast(end) ? trunk : trunk + own.at(-1)!.heads;
  };
}
