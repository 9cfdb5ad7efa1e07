/** What ONNX Runtime's profiler writes: a file of events per session, read into one profile per run. */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { RunError } from '../../errors.js';
import type { NodeProfile, RunProfile } from '../runtime.js';

let sessions = 0;

/** A prefix of file names in `folder` that no other session of this process has; ONNX Runtime adds only the time. */
export function profilePrefix(folder: string): string {
  return path.join(folder, `session-${process.pid}-${sessions++}`);
}

/**
 * Reads a finished file of events and removes it.
 * @throws RunError where it cannot be read
 */
export async function takeProfile(session: string, file: string): Promise<RunProfile[]> {
  try {
    return profileOf(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    // ONNX Runtime does not say when it fails to write.
    const reason = cause instanceof SyntaxError ? `${found}; it is cut short: the disk of TMPDIR may be full` : found;
    throw new RunError('PROFILE_UNREADABLE', `session '${session}': profile ${file} cannot be read: ${reason}`, {
      cause,
    });
  } finally {
    await rm(file, { force: true });
  }
}

/** One event, as in Chrome's trace format: `ts` and `dur` are microseconds. */
interface Event {
  readonly cat: string;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
  readonly args?: { readonly op_name?: string; readonly output_type_shape?: readonly Record<string, number[]>[] };
}

/** Every run is an event `model_run`; the nodes that began within it are its own. */
function profileOf(content: unknown): RunProfile[] {
  if (!Array.isArray(content)) throw new TypeError('it holds no list of events');
  const events = content as Event[];
  const nodes = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith(KERNEL)).sort(byStart);
  const runs = events.filter(({ cat, name }) => cat === 'Session' && name === 'model_run').sort(byStart);
  return runs.map(({ ts, dur }) => ({
    seconds: dur / 1e6,
    nodes: nodes.filter((node) => node.ts >= ts && node.ts <= ts + dur).map(nodeProfile),
  }));
}

const KERNEL = '_kernel_time';

const byStart = (a: Event, b: Event): number => a.ts - b.ts;

function nodeProfile({ name, dur, args }: Event): NodeProfile {
  const shapes = (args?.output_type_shape ?? []).flatMap((shape) => Object.entries(shape));
  return {
    name: name.slice(0, -KERNEL.length),
    opType: args?.op_name ?? '?',
    seconds: dur / 1e6,
    outputs: shapes.map(([type, dims]) => `${type}[${dims.join(',')}]`),
  };
}
