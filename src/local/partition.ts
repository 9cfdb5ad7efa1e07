/** Cutting a sequence into runs such that the most demanding run demands as little as possible. */

/**
 * @param count of what is cut
 * @param runs from 1 to `count`
 * @param cost of the run from `begin` to `end`, the latter not included; Infinity where it cannot be
 * @returns where each run ends; of several equally good cuts the one whose last runs begin first; null where no cut can be
 */
export function partition(count: number, runs: number, cost: (begin: number, end: number) => number): number[] | null {
  /** Of the first `end` in so many runs: the smallest largest cost, and where the last run begins. */
  let best = Array.from({ length: count + 1 }, (_, end) => ({ largest: end === 0 ? 0 : cost(0, end), begin: 0 }));
  const steps = [best];
  for (let made = 1; made < runs; made++) {
    const before = best;
    best = before.map((_, end) => {
      let found = { largest: Infinity, begin: 0 };
      for (let begin = made; begin < end; begin++) {
        const largest = Math.max(before[begin]!.largest, cost(begin, end));
        if (largest < found.largest) found = { largest, begin };
      }
      return found;
    });
    steps.push(best);
  }
  if (best[count]!.largest === Infinity) return null;
  const ends: number[] = [];
  for (let step = runs - 1, end = count; step >= 0; step--) {
    ends.unshift(end);
    end = steps[step]![end]!.begin;
  }
  return ends;
}
