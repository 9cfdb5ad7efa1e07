/**
 * Going on from the last checkpoint, by itself: after a machine was lost, and, where that is asked for, after numbers have stopped being numbers. The steps
 * that led there are then left out.
 */
import { LostError } from '../cluster/index.js';
import type { OpenEngine } from '../pipeline/index.js';
import type { Recipe } from '../recipe/index.js';
import { type Beginning, begin } from './beginning.js';
import type { TrainListener } from './events.js';
import { NotFiniteError } from './finite.js';
import type { NanPolicy, TrainOptions } from './options.js';

/** One of the times that a training begins, or goes on by itself. */
export interface Attempt {
  readonly beginning: Beginning;
  /** Steps whose updates are not made. */
  readonly leftOut: ReadonlySet<number>;
  /** Whether it is the one that was asked for. */
  readonly isFirst: boolean;
}

/** Losses of machines without a checkpoint in between after which it is given up. */
const MOST_LOSSES = 20;
/** The same for numbers that are none. */
const MOST_FAILURES = 10;

/**
 * @param lastStep of the training
 * @param trainOnce loads the state that an attempt begins with, and trains
 * @throws what `trainOnce` throws, but for losses of machines and, under a policy that goes on, NotFiniteError; those too at the 20th and the 10th without a
 * checkpoint in between, and NotFiniteError where no step remains that could be left out, or none that could be made
 */
export async function trainThroughFailures<Result>(
  open: OpenEngine,
  beginning: Beginning,
  given: Recipe,
  lastStep: number,
  options: TrainOptions,
  listener: TrainListener,
  trainOnce: (attempt: Attempt) => Promise<Result>,
): Promise<Result> {
  const { onNan = 'stop', signal } = options;
  const leftOut = new Set<number>();
  let current = beginning;
  let [losses, failures] = [0, 0];
  for (;;) {
    try {
      return await trainOnce({ beginning: current, leftOut, isFirst: current === beginning });
    } catch (error) {
      const isLoss = error instanceof LostError && open.recover !== undefined;
      // What a training begins with is no matter of its steps.
      const isNan = error instanceof NotFiniteError && onNan !== 'stop' && error.step > 0;
      if (!isLoss && !isNan) throw error;
      const before = stepOf(current);
      current = await begin(given, { ...options, resume: true });
      const from = stepOf(current);
      if (from !== before) losses = failures = 0;
      for (const step of leftOut) if (step <= from) leftOut.delete(step);
      if (isLoss ? ++losses >= MOST_LOSSES : ++failures >= MOST_FAILURES) throw error;
      if (isNan) {
        const { added, all } = leaveOut(onNan, leftOut, from, error.step);
        // Nothing is left to leave out, or to make.
        if (added.length === 0 || leftOut.size === lastStep) throw error;
        listener.warn?.(`${error.found}; training goes on from the checkpoint of step ${from}, without ${named(all)}`);
      } else listener.warn?.(`${error.message}; training goes on from the last checkpoint`);
      await open.recover?.(signal);
    }
  }
}

/** Those after `from`, up to and with `to`. */
const stepsBetween = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + 1 + i);

const stepOf = ({ run }: Beginning): number => run?.checkpoint.state.step ?? 0;

/**
 * Adds the steps to leave out between a checkpoint and a step whose results are no numbers.
 * @returns those that are new, and all that are left out there, each in order
 */
export function leaveOut(
  policy: Exclude<NanPolicy, 'stop'>,
  leftOut: Set<number>,
  checkpoint: number,
  step: number,
): { added: number[]; all: number[] } {
  const since = stepsBetween(checkpoint, step);
  const made = since.filter((each) => !leftOut.has(each));
  const added = policy === 'rollback' ? made : suspects(made, step);
  for (const each of added) leftOut.add(each);
  return { added, all: since.filter((each) => leftOut.has(each)) };
}

/**
 * The step itself. Where it was left out already, or comes right behind steps that were, what they showed was not of their making: then the last one that was
 * made before it, too.
 */
function suspects(made: readonly number[], step: number): number[] {
  const before = made.filter((each) => each < step).at(-1);
  const itself = made.includes(step) ? [step] : [];
  if (before === undefined || (itself.length > 0 && before === step - 1)) return itself;
  return [before, ...itself];
}

/** Such as `steps 3 and 5 to 7`. */
function named(steps: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const step of steps) {
    const open = ranges.at(-1);
    if (open && open[1] === step - 1) open[1] = step;
    else ranges.push([step, step]);
  }
  const texts = ranges.map(([first, last]) => (first === last ? `${first}` : `${first} to ${last}`));
  const list = texts.length > 1 ? `${texts.slice(0, -1).join(', ')} and ${texts.at(-1)}` : texts[0]!;
  return `${steps.length > 1 ? 'steps' : 'step'} ${list}`;
}
