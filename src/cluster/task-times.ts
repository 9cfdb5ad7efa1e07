/** When tasks ran, as a tensor on its way to the coordinator; by the clock of the machine. */
import { RunError } from '../errors.js';
import type { HostTensor } from '../files/tensor.js';
import type { TraceEvent } from '../pipeline/index.js';

type Phase = TraceEvent['phase'];

const PHASES: readonly Phase[] = ['forward', 'heads', 'relay', 'update'];
const COLUMNS = 5;

/** Milliseconds since 1970 of a time of `performance.now()` in this process, to parts of a microsecond. */
export const clockTime = (time = performance.now()): number => performance.timeOrigin + time;

/** @returns int64 [tasks, 5]: module, phase, step, beginning and end in microseconds since 1970 */
export function encodeTasks(events: readonly TraceEvent[]): HostTensor<'int64'> {
  const microseconds = (time: number): number => Math.round(1000 * clockTime(time));
  const rows = events.flatMap(({ module, phase, step, begin, end }) => {
    return [module, PHASES.indexOf(phase), step, microseconds(begin), microseconds(end)];
  });
  return { dtype: 'int64', shape: [events.length, COLUMNS], data: BigInt64Array.from(rows, BigInt) };
}

/**
 * @param stage of the sender
 * @param ahead milliseconds by which its clock is ahead of the one here
 * @returns the tasks, by `performance.now()` of this process
 * @throws RunError `TASKS_INVALID`
 */
export function decodeTasks({ dtype, shape, data }: HostTensor, stage: number, ahead: number): TraceEvent[] {
  if (dtype !== 'int64' || shape.length !== 2 || shape[1] !== COLUMNS) {
    throw new RunError(
      'TASKS_INVALID',
      `task times are ${dtype} [${shape.join(', ')}]; allowed: int64 [n, ${COLUMNS}]`,
    );
  }
  const numbers = Array.from(data as BigInt64Array, Number);
  return Array.from({ length: shape[0]! }, (_, row) => {
    const [module, phase, step, begin, end] = numbers.slice(COLUMNS * row) as [number, number, number, number, number];
    const here = (microseconds: number): number => microseconds / 1000 - ahead - performance.timeOrigin;
    return { stage, module, phase: PHASES[phase]!, step, begin: here(begin), end: here(end) };
  });
}
