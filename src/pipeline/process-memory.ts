/** The memory of the process around a training step: how much it takes, and keeping it small. */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collector = (options?: { readonly type: 'minor' | 'major' }) => void;

let known: Collector | undefined;

/**
 * Collects JavaScript's garbage now, and gives back the memory that it lay in: graphs and models, once they are loaded, are several times what remains.
 * Takes some ten milliseconds.
 */
export function collectGarbage(): void {
  const collect = collector();
  // What the first collection empties, the second gives back.
  collect();
  collect();
}

/**
 * Collects what was made lately, in about a millisecond. Buffers from the network are outside of the heap: it hardly grows by them, so JavaScript would let
 * tens of megabytes of them pile up.
 */
export function collectYoungGarbage(): void {
  collector()({ type: 'minor' });
}

/**
 * From now on JavaScript's heap may double before all of it is searched for garbage. Buffers from the network count. V8 would allow a worker, which takes some
 * ten megabytes of them a step, no more than 1.4 times, and search its twenty megabytes of code several times a step, on several cores.
 */
export function searchHeapLessOften(): void {
  setFlagsFromString('--heap-growing-percent=100');
}

function collector(): Collector {
  if (!known) {
    // Node offers the collector to contexts that are made while this flag is set.
    setFlagsFromString('--expose-gc');
    known = runInNewContext('gc') as Collector;
    setFlagsFromString('--no-expose-gc');
  }
  return known;
}

/** Resident memory of this process, in bytes. */
export interface ResidentMemory {
  readonly now: number;
  /** Highest since the process began. */
  readonly peak: number;
}

/**
 * Reads it from procfs, in some ten microseconds. Elsewhere than on Linux the peak is what `getrusage` tells, in which a process may
 * inherit that of its parent.
 */
export function residentMemory(): ResidentMemory {
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    const [now, peak] = ['VmRSS', 'VmHWM'].map((field) => new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
    if (now !== undefined && peak !== undefined) return { now: 1024 * Number(now), peak: 1024 * Number(peak) };
  } catch {
    // No procfs.
  }
  return { now: process.memoryUsage.rss(), peak: 1024 * process.resourceUsage().maxRSS };
}
