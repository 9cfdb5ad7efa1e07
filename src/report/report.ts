/** The report of a run: from its folder to a page. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../files/atomic.js';
import { printable } from '../files/printable.js';
import { readRunOutline, refuseRunFile } from '../train/index.js';
import { readRunData, type RunTotals } from './run-data.js';
import { runPage } from './run-page.js';
import { readTrace } from './trace-data.js';

/** In a run folder. */
export const REPORT = 'report.html';
const TRACE = 'trace.json';

export interface ReportOptions {
  /** A trace of the run. Default: `trace.json` in its folder, if it is there. */
  readonly trace?: string;
}

export interface WrittenReport {
  readonly file: string;
  readonly bytes: number;
  readonly totals: RunTotals;
}

/**
 * Writes a self-contained page of a run, however far it has come.
 * @throws InputError as `refuseRunFile`, `readRunOutline`, `readMetrics`, `readTrace` and `writeFileAtomic`
 */
export async function writeReport(run: string, file: string, { trace }: ReportOptions = {}): Promise<WrittenReport> {
  await refuseRunFile(run, file);
  const outline = await readRunOutline(run);
  const { data, totals } = await readRunData(run);
  const traceFile = trace ?? (await existing(path.join(run, TRACE)));
  const page = await runPage({ outline, data, totals, trace: traceFile === null ? null : await readTrace(traceFile) });
  await writeFileAtomic(file, page);
  return { file, bytes: Buffer.byteLength(page), totals };
}

/**
 * Writes `report.html` into the folder of a run that has ended, in whatever way. It is not worth a run: what goes wrong becomes a warning.
 * @param warn takes at most one line
 */
export async function leaveReport(run: string, warn: (line: string) => void): Promise<void> {
  try {
    await writeReport(run, path.join(run, REPORT));
  } catch (error) {
    warn(`${REPORT}: not written: ${printable(error instanceof Error ? error.message : String(error), 500)}`);
  }
}

const existing = async (file: string): Promise<string | null> =>
  (await stat(file).catch(() => null))?.isFile() ? file : null;
