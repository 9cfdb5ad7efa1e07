/**
 * The process of one run of a comparison: a fresh one, so that its memory is that of the run. It is told by a message what to train, tells by
 * messages how it goes, and ends.
 */
import { HpffError } from '../errors.js';
import { leaveReport } from '../report/index.js';
import { train } from '../train/index.js';
import type { Answer, Command, RunRequest } from './messages.js';

const stop = new AbortController();

async function run({ recipe, options }: RunRequest): Promise<Answer> {
  let begun = false;
  try {
    await train(
      recipe,
      { ...options, signal: stop.signal },
      {
        progress: (progress) => tell({ kind: 'progress', progress }),
        warn: (line) => tell({ kind: 'warning', line }),
        event: (event) => {
          if (event.event === 'start') {
            begun = true;
            tell({ kind: 'started', step: event.step, totalSteps: event.totalSteps });
          }
          if (event.event === 'epoch' || event.event === 'evaluation') {
            tell({ kind: 'evaluated', epoch: event.epoch, testAccuracy: event.testAccuracy });
          }
        },
      },
    );
    return { kind: 'done' };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return error instanceof HpffError
      ? { kind: 'failed', code: error.code, message, exitCode: error.exitCode }
      : { kind: 'failed', code: 'COMPARE_FAILED', message, exitCode: 1 };
  } finally {
    if (begun) await leaveReport(options.folder, (line) => tell({ kind: 'warning', line }));
  }
}

function tell(answer: Answer, then?: () => void): void {
  process.send?.(answer, () => then?.());
}

process.on('message', (command: Command) => {
  if (command.kind === 'stop') return stop.abort();
  void run(command.request).then((answer) => tell(answer, () => process.disconnect()));
});
// A terminal sends Ctrl-C to all its processes: the parent says what is to be done.
process.on('SIGINT', () => {});
// A parent that is gone wants no more.
process.on('disconnect', () => process.exit());
