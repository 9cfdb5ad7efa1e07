/** Progress of long work: a bar on a terminal, now and then a plain line elsewhere. And what stages of a pipeline do, in words. */
import cliProgress, { type MultiBar, type Options, type Params, type SingleBar } from 'cli-progress';
import type { StageTimes } from '../pipeline/index.js';
import { stageShares } from '../train/events.js';
import type { StepProgress } from '../train/index.js';
import type { Sink } from './output.js';

/** Owns the last line of a terminal and a timer until it is disposed. */
export interface Progress extends Disposable {
  /** @param done units finished so far @param note what else to say, e.g. the loss */
  update(done: number, note: string): void;
  /** Writes a line that stays. */
  line(text: string): void;
}

export interface ProgressOptions {
  /** Units of the whole work. */
  readonly total: number;
  /** Units that were done before, when work is resumed. Default 0. */
  readonly start?: number;
  /** What a unit is called, e.g. `step`. */
  readonly unit: string;
}

/** Shows progress on `sink`, which is stderr. */
export function showProgress(sink: Sink, options: ProgressOptions): Progress {
  return sink.isTTY ? new ProgressBar(sink, options) : new ProgressLines(sink, options);
}

/** Shows nothing, for commands that report by other means. */
export const noProgress: Progress = { update() {}, line() {}, [Symbol.dispose]() {} };

class ProgressBar implements Progress {
  private readonly bars: MultiBar;
  private readonly bar: SingleBar;

  constructor(sink: Sink, { total, start = 0, unit }: ProgressOptions) {
    this.bars = new cliProgress.MultiBar({
      stream: sink,
      // Left to itself the terminal stays as it is, even when the process is killed; so lines are cut to its width.
      linewrap: true,
      barsize: 24,
      etaBuffer: 50,
      format: (options, params, payload) => barLine(options, params, payload as BarPayload).slice(0, width(sink)),
    });
    this.bar = this.bars.create(total, start, { unit, note: '' } satisfies BarPayload);
  }

  update(done: number, note: string): void {
    this.bar.update(done, { note });
  }

  line(text: string): void {
    this.bars.log(`${text}\n`);
  }

  [Symbol.dispose](): void {
    if (!this.bars.isActive) return;
    this.bars.update(); // writes the lines that still wait
    this.bars.stop();
  }
}

interface BarPayload {
  readonly unit: string;
  readonly note: string;
}

function barLine(options: Options, { progress, value, total, eta }: Params, { unit, note }: BarPayload): string {
  const bar = cliProgress.Format.BarFormat(progress, options);
  const left = Number.isFinite(Number(eta)) ? `, ${cliProgress.Format.TimeFormat(Number(eta), options, 1)} left` : '';
  return `${bar} ${unit} ${value}/${total}${left}  ${note}`;
}

/** Characters that fit on a line without reaching the last column, where some terminals wrap. Some say 0: not known. */
function width(sink: Sink): number {
  return (sink.columns || 80) - 1;
}

const LINE_INTERVAL_MS = 5000;

class ProgressLines implements Progress {
  private lastWritten = 0;

  constructor(
    private readonly sink: Sink,
    private readonly options: ProgressOptions,
  ) {}

  update(done: number, note: string): void {
    const now = Date.now();
    const { total, unit } = this.options;
    if (done < total && now - this.lastWritten < LINE_INTERVAL_MS) return;
    this.lastWritten = now;
    this.line(`${unit} ${done}/${total}  ${note}`);
  }

  line(text: string): void {
    this.sink.write(`${text}\n`);
  }

  [Symbol.dispose](): void {}
}

/** How busy each stage is, e.g. `busy 93 % 88 %`. */
export function busyNote(stages: readonly StageTimes[]): string {
  return `busy ${stages.map((times) => percent(stageShares(times).busy)).join(' ')}`;
}

/** Where the time of each stage went, a line for each. */
export function stageLines(stages: readonly StageTimes[]): string[] {
  return stages.map((times, i) => {
    const { busy, waiting, transfer } = stageShares(times);
    const moved = times.transferSeconds > 0 ? `, meanwhile sending ${percent(transfer)}` : '';
    return `stage ${i} (${namesOf(times.modules)}): busy ${percent(busy)}, waiting ${percent(waiting)}${moved}`;
  });
}

/** Times of stages, added up. Where the stages are no longer the same ones, the sums begin anew. */
export function addStageTimes(sums: readonly StageTimes[], stages: readonly StageTimes[]): StageTimes[] {
  const same =
    sums.length === stages.length && sums.every(({ modules }, i) => modules.join() === stages[i]!.modules.join());
  return stages.map((times, i) => {
    const { busySeconds = 0, waitingSeconds = 0, transferSeconds = 0 } = (same && sums[i]) || {};
    return {
      modules: times.modules,
      busySeconds: busySeconds + times.busySeconds,
      waitingSeconds: waitingSeconds + times.waitingSeconds,
      transferSeconds: transferSeconds + times.transferSeconds,
    };
  });
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;

const namesOf = (modules: readonly number[]): string =>
  modules.length === 1 ? `module ${modules[0]}` : `modules ${modules[0]}-${modules.at(-1)}`;

/** The progress of one piece of work after another on stderr, and lines above it; where nothing is in progress lines stand alone. */
export class ProgressSlot implements Disposable {
  private progress = noProgress;

  constructor(private readonly sink: Sink) {}

  begin(options: ProgressOptions): void {
    this.finish();
    this.progress = showProgress(this.sink, options);
  }

  /** @param more what else to say */
  update({ step, epoch, total, imagesPerSecond }: StepProgress, more = ''): void {
    const speed = Number(imagesPerSecond.toPrecision(3));
    this.progress.update(step, `loss ${total.toFixed(4)}  ${speed} images/s  epoch ${epoch}${more}`);
  }

  line(text: string): void {
    if (this.progress === noProgress) this.sink.write(`${text}\n`);
    else this.progress.line(text);
  }

  /** Takes the bar away. */
  finish(): void {
    this.progress[Symbol.dispose]();
    this.progress = noProgress;
  }

  [Symbol.dispose](): void {
    this.finish();
  }
}
