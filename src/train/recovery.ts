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

/** Losses of machines without a checkpoint in between after which it is given up. */
const MOST_LOSSES = 20;
/** Returns for numbers that are none, without a step that is kept in between, after which it is given up. */
const MOST_RETURNS = 10;

/**
 * @param attempt loads the state that training begins with, and trains, without the steps that are left out
 * @throws what `attempt` throws, but for losses of machines and, under a policy that goes on, NotFiniteError; those too after so many of them in a row
 */
export async function trainThroughFailures<Result>(
  open: OpenEngine,
  beginning: Beginning,
  given: Recipe,
  options: TrainOptions,
  listener: TrainListener,
  attempt: (beginning: Beginning, leftOut: ReadonlySet<number>) => Promise<Result>,
): Promise<Result> {
  const { onNan = 'stop', signal } = options;
  const leftOut = new Set<number>();
  let current = beginning;
  let [losses, returns] = [0, 0];
  for (;;) {
    try {
      return await attempt(current, leftOut);
    } catch (error) {
      const isLoss = error instanceof LostError && open.recover !== undefined && ++losses < MOST_LOSSES;
      const isNan = error instanceof NotFiniteError && onNan !== 'stop' && ++returns < MOST_RETURNS;
      if (!isLoss && !isNan) throw error;
      await open.recover?.(signal);
      const before = stepOf(current);
      current = await begin(given, { ...options, resume: true });
      const from = stepOf(current);
      if (from !== before) losses = 0;
      if (stepsBetween(before, from).some((step) => !leftOut.has(step))) returns = isNan ? 1 : 0;
      if (!isNan) listener.warn?.(`${error.message}; training goes on from the last checkpoint`);
      else {
        const steps = leaveOut(onNan, leftOut, from, error.step);
        listener.warn?.(
          `${error.found}; training goes on from the checkpoint of step ${from}, without ${named(steps)}`,
        );
      }
    }
  }
}

/** Those after `from`, up to and with `to`. */
const stepsBetween = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + 1 + i);

const stepOf = ({ run }: Beginning): number => run?.checkpoint.state.step ?? 0;

/**
 * Adds the steps between a checkpoint and one whose results are no numbers that are to be left out.
 * @returns those, in order
 */
export function leaveOut(policy: NanPolicy, leftOut: Set<number>, checkpoint: number, step: number): number[] {
  const between = stepsBetween(checkpoint, step);
  if (policy === 'rollback') for (const each of between) leftOut.add(each);
  else {
    const done = between.filter((each) => !leftOut.has(each));
    leftOut.add(step);
    // Where the step itself, or those just before it, had been left out already, the last one that was done is as likely the cause.
    const isFirst = done.at(-1) === step && (step === checkpoint + 1 || done.at(-2) === step - 1);
    const last = done.filter((each) => each < step).at(-1);
    if (!isFirst && last !== undefined) leftOut.add(last);
  }
  return between.filter((each) => leftOut.has(each));
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
