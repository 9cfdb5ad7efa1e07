/** Which modules make a stage: neighbours, such that the most loaded stage has as little as possible. */
import { syntheticBatch } from '../data/synthetic.js';
import { initialWeights, type ModuleCost, partition } from '../local/index.js';
import { Random } from '../random.js';
import type { Recipe } from '../recipe/types.js';
import type { PipelineEngine } from './pipeline-engine.js';

/**
 * Cuts a list of costs into runs of neighbours with the smallest possible largest sum.
 * @param stages from 1 to the number of costs
 * @returns indices of the costs in each run
 */
export function balance(costs: readonly number[], stages: number): number[][] {
  const sums = [0];
  for (const cost of costs) sums.push(sums.at(-1)! + cost);
  const ends = partition(costs.length, stages, (begin, end) => sums[end]! - sums[begin]!)!;
  return ends.map((end, i) => {
    const begin = ends[i - 1] ?? 0;
    return Array.from({ length: end - begin }, (_, index) => begin + index);
  });
}

/** Activations that modules keep, in bytes. */
export const memoryCosts = (costs: readonly ModuleCost[]): number[] =>
  costs.map(({ activationBytes }) => activationBytes);

/** After the first step, which pays for memory that later ones find there, one is measured; then more until all have taken so long, or are so many. */
const MEASURE_MILLISECONDS = 1500;
const MEASURE_STEPS = 5;

/**
 * Measures on noise what the tasks of each module take, in milliseconds: the shortest of a few steps. The engine's state is meaningless afterwards.
 */
export async function measureModules(engine: PipelineEngine, recipe: Recipe): Promise<number[]> {
  let sums: number[] = [];
  const { trace } = engine;
  engine.trace = ({ module, begin, end }) => (sums[module] = (sums[module] ?? 0) + end - begin);
  engine.load(initialWeights(recipe));
  const batch = syntheticBatch(recipe, new Random(0, 'balance'));
  const shortest: number[] = [];
  const begun = performance.now();
  const isEnough = (done: number): boolean =>
    done >= MEASURE_STEPS || (done >= 2 && performance.now() - begun > MEASURE_MILLISECONDS);
  for (let step = 1; !isEnough(step - 1); step++) {
    sums = [];
    await engine.step(batch, 0, step);
    if (step === 1) continue;
    sums.forEach((sum, module) => (shortest[module] = Math.min(shortest[module] ?? Infinity, sum)));
  }
  engine.trace = trace;
  engine.takeTimes();
  return shortest;
}

/** Stages as the user reads them, e.g. `0-5, 6-14`. */
export const spans = (stages: readonly (readonly number[])[]): string =>
  stages.map((modules) => (modules.length === 1 ? String(modules[0]) : `${modules[0]}-${modules.at(-1)}`)).join(', ');
