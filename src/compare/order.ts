/** In which order the runs of a comparison are made. */

export interface PlannedRun {
  /** Index of the recipe. */
  readonly recipe: number;
  readonly seed: number;
}

/**
 * Seed after seed, so that a comparison that is stopped has as many runs of each recipe; every other seed from the last recipe to the first, so
 * that what changes with time (a machine that grows warm, other users) meets no recipe more than another. For three recipes:
 *
 *     seed 1: 0 1 2
 *     seed 2: 2 1 0
 *     seed 3: 0 1 2
 */
export function plannedRuns(recipes: number, seeds: readonly number[]): PlannedRun[] {
  return seeds.flatMap((seed, i) => {
    const runs = Array.from({ length: recipes }, (_, recipe) => ({ recipe, seed }));
    return i % 2 === 0 ? runs : runs.reverse();
  });
}
