/** Progress of long work: a bar on a terminal, now and then a plain line elsewhere. */
import cliProgress, { type MultiBar, type Options, type Params, type SingleBar } from 'cli-progress';
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
