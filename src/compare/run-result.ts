/** What a run has come to, read from its folder. */
import { readdir } from 'node:fs/promises';
import { median } from '../bench/index.js';
import type { Recipe } from '../recipe/index.js';
import { readMetrics, readRunOutline, requireSameRecipe, type RunOutline, totalSteps } from '../train/index.js';

export interface RunFigures {
  /** Optimizer steps done. */
  readonly step: number;
  /** At the last evaluation. */
  readonly testAccuracy: number | null;
  readonly testLoss: number | null;
  /** Highest of all evaluations. */
  readonly bestTestAccuracy: number | null;
  /** Mean weighted sum of losses in the last group of steps. */
  readonly trainLoss: number | null;
  /** Median over groups of steps. */
  readonly stepSeconds: number | null;
  /** All steps together, evaluations and checkpoints left out. */
  readonly trainSeconds: number;
  /** Highest resident memory of its process while it trained. */
  readonly peakBytes: number | null;
  readonly curve: readonly CurvePoint[];
}

export interface CurvePoint {
  readonly step: number;
  readonly epoch: number;
  readonly testAccuracy: number;
  readonly testLoss: number;
}

export interface RunState {
  /** Whether nothing is left to train. */
  readonly finished: boolean;
  readonly outline: RunOutline;
}

/**
 * @param recipe with the seed and the epochs of the run
 * @param steps to end at, if its epochs have more
 * @returns null where there is no run yet
 * @throws InputError `RESUME_RECIPE` if another recipe was trained there; as `readRunOutline`
 */
export async function runState(folder: string, recipe: Recipe, steps = Infinity): Promise<RunState | null> {
  if ((await readdir(folder).catch(() => [])).length === 0) return null;
  const outline = await readRunOutline(folder);
  requireSameRecipe(outline, recipe);
  const { step, stepsPerEpoch, evaluation, openGroup } = outline.state;
  return {
    finished: step >= totalSteps(recipe, stepsPerEpoch, steps) && evaluation?.step === step && openGroup === null,
    outline,
  };
}

/** @throws InputError as `readMetrics` */
export async function runFigures(folder: string): Promise<RunFigures> {
  const curve: CurvePoint[] = [];
  const seconds: number[] = [];
  let [step, trainSeconds, peakBytes] = [0, 0, 0];
  let trainLoss: number | null = null;
  for await (const event of readMetrics(folder)) {
    step = event.step;
    if (event.event === 'step') {
      trainLoss = event.total;
      peakBytes = Math.max(peakBytes, event.peakBytes ?? 0);
      if (typeof event.stepSeconds !== 'number') continue;
      seconds.push(event.stepSeconds);
      trainSeconds += event.stepSeconds * event.steps;
    } else if (event.event !== 'skipped') {
      const { epoch, testAccuracy, testLoss } = event;
      curve.push({ step, epoch, testAccuracy, testLoss });
    }
  }
  const last = curve.at(-1);
  return {
    step,
    testAccuracy: last?.testAccuracy ?? null,
    testLoss: last?.testLoss ?? null,
    bestTestAccuracy: last ? Math.max(...curve.map(({ testAccuracy }) => testAccuracy)) : null,
    trainLoss,
    stepSeconds: seconds.length > 0 ? median(seconds) : null,
    trainSeconds,
    peakBytes: peakBytes > 0 ? peakBytes : null,
    curve,
  };
}
