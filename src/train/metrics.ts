/** metrics.jsonl of a run: one event a line, appended; consistent with the checkpoint that a run goes on from. */
import { open, truncate, type FileHandle } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { JsonError, parseJson } from '../files/json.js';
import { printable } from '../files/printable.js';
import { readFileBytes } from '../files/read.js';
import { writeError } from '../files/system-errors.js';
import type { MetricsEvent } from './events.js';

const MAX_BYTES = 2 ** 31;
const NEWLINE = 0x0a;

export class MetricsFile {
  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
  ) {}

  /** Opens for appending. @throws as `writeFileAtomic` */
  static async open(path: string): Promise<MetricsFile> {
    try {
      return new MetricsFile(path, await open(path, 'a'));
    } catch (error) {
      throw writeError(path, error);
    }
  }

  /** Appends a line in one write. @throws as `writeFileAtomic` */
  async append(event: MetricsEvent): Promise<void> {
    await this.try(() => this.handle.writeFile(`${JSON.stringify(event)}\n`));
  }

  /** Waits until all lines are on the disk. @throws as `writeFileAtomic` */
  async sync(): Promise<void> {
    await this.try(() => this.handle.sync());
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  private async try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw writeError(this.path, error);
    }
  }
}

/** How far a checkpoint reaches: what was written after it is void. */
export interface MetricsReach {
  /** Last step whose lines count. */
  readonly step: number;
  /** Last step whose evaluation counts; -1 for none. */
  readonly evaluatedStep: number;
}

/**
 * Cuts off the lines that were written after a checkpoint, and a line that a kill left unfinished.
 * @throws InputError `METRICS_INVALID` if a line before the last is no event; as `readFileBytes` and `writeFileAtomic`
 */
export async function truncateMetrics(path: string, reach: MetricsReach): Promise<void> {
  const bytes = await readFileBytes(path, MAX_BYTES);
  const length = lengthUpTo(bytes, reach, printable(path));
  if (length === bytes.length) return;
  try {
    await truncate(path, length);
  } catch (error) {
    throw writeError(path, error);
  }
}

/** Lines are in the order of time, so those that count are the file's beginning. */
function lengthUpTo(bytes: Uint8Array, reach: MetricsReach, file: string): number {
  let start = 0;
  for (let line = 1; ; line++) {
    const end = bytes.indexOf(NEWLINE, start);
    if (end < 0) return start;
    const { event, step } = readLine(bytes.subarray(start, end), `${file}: line ${line}`);
    const isEvaluation = event === 'epoch' || event === 'evaluation';
    if (step > (isEvaluation ? reach.evaluatedStep : reach.step)) return start;
    start = end + 1;
  }
}

function readLine(bytes: Uint8Array, at: string): { event: string; step: number } {
  const invalid = (reason: string) => new InputError('METRICS_INVALID', `${at}: ${reason}`);
  let value: unknown;
  try {
    value = parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw invalid(`not valid JSON: ${error.reason}`);
  }
  if (typeof value === 'object' && value !== null && 'event' in value && 'step' in value) {
    const { event, step } = value;
    if (typeof event === 'string' && typeof step === 'number') return { event, step };
  }
  throw invalid('no "event" and "step"');
}
