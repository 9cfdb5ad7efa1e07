/** Training on machines that may be lost: after a loss it goes on from the last checkpoint, by itself. */
import { LostError } from '../cluster/index.js';
import type { OpenEngine } from '../pipeline/index.js';
import type { Recipe } from '../recipe/index.js';
import { type Beginning, begin } from './beginning.js';
import type { TrainListener } from './events.js';
import type { TrainOptions } from './options.js';

/** Losses without a checkpoint in between after which it is given up. */
const MOST_LOSSES = 20;

/**
 * @param attempt loads the state that training begins with, and trains
 * @throws what `attempt` throws, but for losses; those too after 20 of them without a checkpoint in between
 */
export async function trainThroughLosses<Result>(
  open: OpenEngine,
  beginning: Beginning,
  given: Recipe,
  options: TrainOptions,
  listener: TrainListener,
  attempt: (beginning: Beginning) => Promise<Result>,
): Promise<Result> {
  let current = beginning;
  for (let losses = 1; ; losses++) {
    try {
      return await attempt(current);
    } catch (error) {
      if (!(error instanceof LostError) || !open.recover || losses >= MOST_LOSSES) throw error;
      listener.warn?.(`${error.message}; training goes on from the last checkpoint`);
    }
    await open.recover(options.signal);
    const before = current.run?.checkpoint.state.step;
    current = await begin(given, { ...options, resume: true });
    if (current.run?.checkpoint.state.step !== before) losses = 0;
  }
}
