/**
 * What a training does when, as a Chrome trace (Trace Event Format; opens in ui.perfetto.dev and chrome://tracing): a track for each stage of the pipeline
 * with its tasks, named by phase and module, and one each for evaluations and checkpoints. Tasks of workers are brought to the clock of this process.
 */
import { existsSync } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { writeError } from '../files/system-errors.js';
import type { TraceEvent } from '../pipeline/index.js';
import type { TrainListener, WorkSpan } from './events.js';
import type { TrainOptions } from './options.js';
import { TraceFile } from './trace-file.js';

/** One process, whose threads are the tracks. */
const pid = 1;
/** Tracks of what is not training; stages have those from 3 on. */
const tracks = { evaluation: 1, checkpoint: 2 } as const;
const FIRST_STAGE = 3;

export class Trace implements AsyncDisposable {
  private constructor(private readonly file: TraceFile) {}

  /** @throws as `TraceFile.open` */
  static async open(file: string, recipe: string, warn: (line: string) => void = () => undefined): Promise<Trace> {
    const title = metadata('process_name', 0, { name: `hpff train ${recipe}` });
    return new Trace(await TraceFile.open(file, title, warn));
  }

  /** Names the tracks. @param stages indices of the modules of each */
  arrange(stages: readonly (readonly number[])[]): void {
    stages.forEach((modules, i) => this.nameTrack(FIRST_STAGE + i, `stage ${i}: ${span(modules)}`, i));
    this.nameTrack(tracks.evaluation, 'evaluations', stages.length);
    this.nameTrack(tracks.checkpoint, 'checkpoints', stages.length + 1);
  }

  /** A task of a stage. */
  readonly task = ({ stage, module, phase, step, begin, end }: TraceEvent): void => {
    this.file.add(complete(`${phase} ${module}`, phase, FIRST_STAGE + stage, begin, end, { step, module }));
  };

  /** Work between training steps. */
  readonly work = ({ kind, step, begin, end }: WorkSpan): void => {
    this.file.add(complete(kind, kind, tracks[kind], begin, end, { step }));
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.file.close();
  }

  private nameTrack(tid: number, name: string, place: number): void {
    this.file.add(metadata('thread_name', tid, { name }));
    this.file.add(metadata('thread_sort_index', tid, { sort_index: place }));
  }
}

/**
 * Begins the trace that the options ask for.
 * @throws InputError `SCHEDULE_OPTION` where there are no stages here, `OUTPUT_NOT_WRITABLE` for a file in the folder of a run that is yet to be
 * made; as `TraceFile.open`
 */
export async function openTrace(
  { traceFile: file, schedule = 'sync', cluster, folder, resume }: TrainOptions,
  recipe: string,
  { warn }: TrainListener,
): Promise<Trace | undefined> {
  if (file === undefined) return undefined;
  if (schedule !== 'async' && !cluster) {
    throw new InputError('SCHEDULE_OPTION', `--trace: found with --schedule ${schedule}, allowed: with async only`);
  }
  if (!resume && isWithin(folder, file)) {
    const problem = `is in the folder of the run, which is yet to be made; allowed: a file elsewhere`;
    throw new InputError('OUTPUT_NOT_WRITABLE', `--trace: ${printable(file)}: ${problem}`);
  }
  if (resume) await keepEarlier(file, warn);
  return Trace.open(file, recipe, warn);
}

/** A training that goes on with the same command line leaves the trace of what was before under another name. */
async function keepEarlier(file: string, warn?: (line: string) => void): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) return;
  let count = 1;
  while (existsSync(`${file}.${count}`)) count++;
  try {
    await rename(file, `${file}.${count}`);
  } catch (error) {
    throw writeError(file, error);
  }
  warn?.(`${printable(file)}: the trace of what was before is in ${printable(`${file}.${count}`)} now`);
}

/** Makes what `listener` is told known to the trace too. */
export function alsoTracing(listener: TrainListener, trace: Trace): TrainListener {
  return {
    event: (event) => listener.event?.(event),
    progress: (progress) => listener.progress?.(progress),
    warn: (line) => listener.warn?.(line),
    work: (work) => {
      trace.work(work);
      listener.work?.(work);
    },
  };
}

/** @param begin in milliseconds, as `end`; the format counts in microseconds */
function complete(name: string, cat: string, tid: number, begin: number, end: number, args: object): object {
  const ts = Math.round(begin * 1000);
  return { name, cat, ph: 'X', ts, dur: Math.round(end * 1000) - ts, pid, tid, args };
}

const metadata = (name: string, tid: number, args: object): object => ({ name, ph: 'M', pid, tid, args });

const span = (modules: readonly number[]): string =>
  modules.length === 1 ? `module ${modules[0]}` : `modules ${modules[0]}-${modules.at(-1)}`;

function isWithin(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
}
