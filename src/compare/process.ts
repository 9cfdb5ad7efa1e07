/** The process of one run, from outside. */
import { fork } from 'node:child_process';
import { InputError, RunError } from '../errors.js';
import type { Answer, Command, RunRequest } from './messages.js';

/**
 * Trains in a process of its own.
 * @param tell takes what the run tells on its way
 * @param signal stops the run after its step, with a checkpoint
 * @throws InputError or RunError as the run; RunError `COMPARE_DIED` if its process ends without a word
 */
export async function runInProcess(
  request: RunRequest,
  tell: (answer: Answer) => void,
  signal?: AbortSignal,
): Promise<void> {
  // A small heap of new objects, as bin/hpff.js asks for; nothing of its own on stdout, which is for the result.
  const child = fork(new URL('./worker.js', import.meta.url), {
    execArgv: ['--max-semi-space-size=1'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  // What cannot be sent need not be told: the process has closed its channel, and its end follows.
  const send = (command: Command): boolean => child.connected && child.send(command, () => {});
  const onStop = (): void => void send({ kind: 'stop' });
  signal?.addEventListener('abort', onStop);
  try {
    await new Promise<void>((resolve, reject) => {
      let outcome: Answer | undefined;
      child.on('message', (message) => {
        const answer = message as Answer;
        if (answer.kind === 'done' || answer.kind === 'failed') outcome = answer;
        else tell(answer);
      });
      child.on('error', (error) => reject(new RunError('COMPARE_DIED', `its process: ${error.message}`)));
      child.on('exit', (code, signal) => {
        if (outcome?.kind === 'done') return resolve();
        const how = signal ? `signal ${signal}` : `exit code ${code}`;
        reject(
          outcome?.kind === 'failed' ? failure(outcome) : new RunError('COMPARE_DIED', `its process ended with ${how}`),
        );
      });
      send({ kind: 'start', request });
    });
  } finally {
    signal?.removeEventListener('abort', onStop);
  }
}

function failure({ code, message, exitCode }: Extract<Answer, { kind: 'failed' }>): Error {
  return exitCode === 2 ? new InputError(code, message) : new RunError(code, message);
}
