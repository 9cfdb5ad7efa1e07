/** The time line of a pipeline for its page: a few steps out of the middle of a Chrome trace that `hpff train --trace` wrote. */
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { withRegularFile } from '../files/read.js';

/** What a browser draws without effort. */
const MOST_TASKS = 6000;
const MAX_LINE = 2 ** 20;

export interface TraceData {
  /** Names of the tracks, from the top. */
  readonly tracks: readonly string[];
  readonly phases: readonly string[];
  /** Track, phase, module, step, begin and duration in milliseconds since the first task here. */
  readonly tasks: readonly (readonly [number, number, number, number, number, number])[];
  readonly firstStep: number;
  readonly lastStep: number;
  /** Steps in the whole trace. */
  readonly allSteps: number;
}

interface Task {
  readonly tid: number;
  readonly phase: string;
  readonly module: number;
  readonly step: number;
  readonly begin: number;
  readonly duration: number;
}

/**
 * Reads a trace twice: how far it reaches, and then the steps around its middle. Memory is bounded however long it is.
 * @throws InputError `TRACE_INVALID` if it is no trace of hpff; as `withRegularFile`
 */
export async function readTrace(file: string): Promise<TraceData> {
  const { names, first, last, tasks: count } = await survey(file);
  const invalid = (reason: string) => new InputError('TRACE_INVALID', `${printable(file)}: ${reason}`);
  if (names.size === 0 || count === 0) throw invalid('holds no tasks of stages; allowed: a file of hpff train --trace');
  const steps = last - first + 1;
  const shown = Math.max(1, Math.min(steps, Math.floor((MOST_TASKS * steps) / count)));
  const from = first + Math.floor((steps - shown) / 2);
  const found: Task[] = [];
  await eachEvent(file, (event) => {
    const task = taskOf(event);
    if (task && task.step >= from && task.step < from + shown && found.length < 2 * MOST_TASKS) found.push(task);
  });
  return packed(found, names, { firstStep: from, lastStep: from + shown - 1, allSteps: steps });
}

async function survey(
  file: string,
): Promise<{ names: Map<number, string>; first: number; last: number; tasks: number }> {
  const names = new Map<number, string>();
  let [first, last, tasks] = [Infinity, -Infinity, 0];
  await eachEvent(file, (event) => {
    const { ph, name, tid, args } = event;
    if (
      ph === 'M' &&
      name === 'thread_name' &&
      typeof tid === 'number' &&
      isPlain(args) &&
      typeof args.name === 'string'
    ) {
      names.set(tid, args.name);
    }
    const task = taskOf(event);
    if (!task) return;
    tasks++;
    first = Math.min(first, task.step);
    last = Math.max(last, task.step);
  });
  return { names, first, last, tasks };
}

function packed(
  found: readonly Task[],
  names: ReadonlyMap<number, string>,
  range: Omit<TraceData, 'tracks' | 'phases' | 'tasks'>,
): TraceData {
  const tids = [...new Set(found.map(({ tid }) => tid))].sort((a, b) => a - b);
  const phases = ['forward', 'heads', 'relay', 'update'].concat();
  for (const { phase } of found) if (!phases.includes(phase)) phases.push(phase);
  const start = found.reduce((least, { begin }) => Math.min(least, begin), Infinity);
  return {
    ...range,
    tracks: tids.map((tid) => names.get(tid) ?? `track ${tid}`),
    phases,
    tasks: found.map(({ tid, phase, module, step, begin, duration }) => [
      tids.indexOf(tid),
      phases.indexOf(phase),
      module,
      step,
      Number(((begin - start) / 1000).toFixed(3)),
      Number((duration / 1000).toFixed(3)),
    ]),
  };
}

/** A task of a stage; null for anything else, such as a checkpoint. Times in microseconds. */
function taskOf({ ph, cat, tid, ts, dur, args }: Record<string, unknown>): Task | null {
  if (ph !== 'X' || typeof cat !== 'string' || typeof tid !== 'number' || !isPlain(args)) return null;
  const { step, module } = args;
  if (typeof step !== 'number' || typeof module !== 'number' || typeof ts !== 'number' || typeof dur !== 'number')
    return null;
  return { tid, phase: cat, module, step, begin: ts, duration: dur };
}

/** Each event of the trace, which stands on a line of its own. Lines that are no events are passed over. */
async function eachEvent(file: string, take: (event: Record<string, unknown>) => void): Promise<void> {
  await withRegularFile(file, async (handle) => {
    let rest = '';
    for await (const chunk of handle.createReadStream({ encoding: 'utf8', start: 0, autoClose: false })) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop()!;
      if (rest.length > MAX_LINE)
        throw new InputError('TRACE_INVALID', `${printable(file)}: has a line of more than ${MAX_LINE} characters`);
      for (const line of lines) {
        const event = parsed(line);
        if (event) take(event);
      }
    }
  });
}

function parsed(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null;
  try {
    const value: unknown = JSON.parse(line.endsWith(',') ? line.slice(0, -1) : line);
    return isPlain(value) ? value : null;
  } catch {
    return null;
  }
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
