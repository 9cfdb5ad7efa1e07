/** Which modules make a stage: neighbours, such that the most loaded stage has as little as possible. */
import { syntheticBatch } from '../data/synthetic.js';
import { initialWeights, keptByModule, partition, passingBytes, type StepGraph } from '../local/index.js';
import { Random } from '../random.js';
import type { Recipe } from '../recipe/types.js';
import type { PipelineEngine } from './pipeline-engine.js';

/** What stages are balanced by. */
export interface StageCosts {
  /** Of each module. */
  readonly modules: readonly number[];
  /** What a cut below a module costs the stages on both sides of it; nothing unless given. */
  readonly cuts?: readonly number[];
}

/**
 * Cuts the modules into runs of neighbours such that the largest cost of a run is as small as possible.
 * @param stages from 1 to the number of modules
 * @returns indices of the modules in each run
 */
export function balance({ modules, cuts }: StageCosts, stages: number): number[][] {
  const sums = [0];
  for (const cost of modules) sums.push(sums.at(-1)! + cost);
  const cutAt = (place: number): number => (place === 0 || place === modules.length ? 0 : (cuts?.[place] ?? 0));
  const costOf = (begin: number, end: number): number => sums[end]! - sums[begin]! + cutAt(begin) + cutAt(end);
  const ends = partition(modules.length, stages, costOf)!;
  return ends.map((end, i) => {
    const begin = ends[i - 1] ?? 0;
    return Array.from({ length: end - begin }, (_, index) => begin + index);
  });
}

/**
 * What modules keep, in bytes: parameters and optimizer state, and all that they hand on, of the `delay + 1` batches under way. Where stages meet, features
 * lie on both sides, and the relays that come back are as large.
 */
export function memoryCosts(step: StepGraph, delay: number): StageCosts {
  const { modules, entering } = passingBytes(step);
  const kept = keptByModule(step);
  const batches = delay + 1;
  return {
    modules: modules.map((bytes, i) => kept[i]! + batches * bytes),
    cuts: entering.map((bytes) => batches * bytes),
  };
}

/** After the first step, which pays for memory that later ones find there, two are measured; then more until all have taken so long, or are so many. */
const MEASURE_MILLISECONDS = 1500;
const MEASURE_STEPS = 5;

/**
 * Measures on noise what the tasks of each module take, in milliseconds: the shortest of a few steps. The engine's state is meaningless afterwards.
 */
export async function measureModules(engine: PipelineEngine, recipe: Recipe): Promise<StageCosts> {
  let sums: number[] = [];
  const { trace } = engine;
  engine.trace = ({ module, begin, end }) => (sums[module] = (sums[module] ?? 0) + end - begin);
  engine.load(initialWeights(recipe));
  const batch = syntheticBatch(recipe, new Random(0, 'balance'));
  const shortest: number[] = [];
  const begun = performance.now();
  const isEnough = (done: number): boolean =>
    done >= MEASURE_STEPS || (done >= 3 && performance.now() - begun > MEASURE_MILLISECONDS);
  for (let step = 1; !isEnough(step - 1); step++) {
    sums = [];
    await engine.step(batch, 0, step);
    if (step === 1) continue;
    sums.forEach((sum, module) => (shortest[module] = Math.min(shortest[module] ?? Infinity, sum)));
  }
  engine.trace = trace;
  engine.takeTimes();
  return { modules: shortest };
}

/** Stages as the user reads them, e.g. `0-5, 6-14`. */
export const spans = (stages: readonly (readonly number[])[]): string =>
  stages.map((modules) => (modules.length === 1 ? String(modules[0]) : `${modules[0]}-${modules.at(-1)}`)).join(', ');
