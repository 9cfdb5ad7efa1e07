/** How a worker's clock differs from the coordinator's. */
import type { ClusterConnection } from './connection.js';
import { request } from './control.js';
import { clockOf, type Hello } from './protocol.js';
import { clockTime } from './task-times.js';

const QUESTIONS = 5;
const TIMEOUT_MILLISECONDS = 10_000;

/**
 * Milliseconds by which the worker's clock is ahead of the one here, by the answer that came soonest, which was under way for about as long as the question.
 * @throws RunError as `request`
 */
export async function clockAhead(connection: ClusterConnection, { worker, place: whom }: Hello): Promise<number> {
  let best = { took: Infinity, ahead: 0 };
  for (let i = 0; i < QUESTIONS; i++) {
    const asked = clockTime();
    const { now } = await request(connection, clockOf(worker), {}, { whom, timeout: TIMEOUT_MILLISECONDS });
    const answered = clockTime();
    const took = answered - asked;
    if (took < best.took) best = { took, ahead: now - (asked + answered) / 2 };
  }
  return best.ahead;
}
