/** The result of a comparison as plain data: comparison.json, from which the table, the plot and the page are made. */
import { median } from '../bench/index.js';
import { buildStep, moduleCosts } from '../local/index.js';
import type { Recipe } from '../recipe/index.js';
import type { Machine } from '../train/index.js';
import { type Difference, differencesOf } from './conditions.js';
import type { SharedOptions } from './messages.js';
import type { RunFigures } from './run-result.js';
import { statistic, type Statistic } from './statistics.js';
import type { Subject } from './subjects.js';

export type RunStatus = 'done' | 'failed' | 'unfinished' | 'waiting';

export interface ComparedRun extends RunFigures {
  readonly seed: number;
  /** Of the run, relative to the comparison's folder. */
  readonly folder: string;
  /** `unfinished` if it was stopped, `waiting` if it has not begun. */
  readonly status: RunStatus;
  /** Why it failed; otherwise null. */
  readonly reason: string | null;
}

export interface ComparedRecipe {
  /** With its file where another has the same name. */
  readonly name: string;
  readonly file: string;
  readonly folder: string;
  readonly modules: number;
  /** Of the trunk. */
  readonly parameters: number;
  readonly headParameters: number;
  /** Over the runs that are done; null where none is. */
  readonly testAccuracy: Statistic | null;
  readonly testLoss: Statistic | null;
  /** Accuracy less that of the first recipe with the same seed, over the seeds that both have done. */
  readonly difference: Statistic | null;
  /** Median over the runs of their medians. */
  readonly stepSeconds: number | null;
  /** Highest of the runs. */
  readonly peakBytes: number | null;
  readonly runs: readonly ComparedRun[];
}

export interface Comparison {
  readonly hpff: string;
  readonly complete: boolean;
  readonly seeds: readonly number[];
  readonly options: Omit<SharedOptions, 'data'>;
  /** Machines on which the runs trained, each once. */
  readonly machines: readonly Machine[];
  /** Where recipes differ in what is not their local learning. */
  readonly conditions: readonly Difference[];
  /** Where they differ in their local learning. */
  readonly method: readonly Difference[];
  readonly recipes: readonly ComparedRecipe[];
}

/** What a recipe has, whatever its runs come to. */
export type RecipeFacts = Pick<
  ComparedRecipe,
  'name' | 'file' | 'folder' | 'modules' | 'parameters' | 'headParameters'
>;

export function factsOf({ label, file, folder, recipe }: Subject): RecipeFacts {
  const costs = moduleCosts(buildStep(recipe, recipe.data.batch));
  const total = (pick: (cost: (typeof costs)[number]) => number): number =>
    costs.reduce((sum, cost) => sum + pick(cost), 0);
  return {
    name: label,
    file,
    folder,
    modules: costs.length,
    parameters: total(({ parameters }) => parameters),
    headParameters: total(({ headParameters }) => headParameters),
  };
}

/** @param runs of each recipe, in the order of the seeds */
export function comparedRecipes(
  facts: readonly RecipeFacts[],
  runs: readonly (readonly ComparedRun[])[],
): ComparedRecipe[] {
  const done = runs.map((each) => each.filter(({ status }) => status === 'done'));
  const first = new Map(done[0]?.map(({ seed, testAccuracy }) => [seed, testAccuracy]));
  return facts.map((each, i) => {
    const of = (pick: (run: ComparedRun) => number | null): number[] =>
      done[i]!.map(pick).filter((value) => value !== null);
    const seconds = of(({ stepSeconds }) => stepSeconds);
    const peaks = of(({ peakBytes }) => peakBytes);
    return {
      ...each,
      testAccuracy: statistic(of(({ testAccuracy }) => testAccuracy)),
      testLoss: statistic(of(({ testLoss }) => testLoss)),
      difference:
        i === 0 ? null : statistic(of(({ seed, testAccuracy }) => minus(testAccuracy, first.get(seed) ?? null))),
      stepSeconds: seconds.length > 0 ? median(seconds) : null,
      peakBytes: peaks.length > 0 ? Math.max(...peaks) : null,
      runs: runs[i]!,
    };
  });
}

const minus = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a - b);

/** Machines but for those that are there already. */
export function distinct<T>(values: readonly T[]): T[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}

export const differences = (recipes: readonly Recipe[]): Pick<Comparison, 'conditions' | 'method'> =>
  differencesOf(recipes);
