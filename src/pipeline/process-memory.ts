/** The memory of the process around a training step: how much it takes, and keeping it small. */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/**
 * Collects JavaScript's garbage now, and gives back the memory that it lay in: graphs and models, once they are loaded, are several times what remains.
 * Takes some ten milliseconds.
 */
export function collectGarbage(): void {
  if (!collect) {
    // Node offers the collector to contexts that are made while this flag is set.
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  // What the first collection empties, the second gives back.
  collect();
  collect();
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
