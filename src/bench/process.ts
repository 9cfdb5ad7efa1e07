/** A process that runs the steps of one recipe, from outside: commands go in, each is answered. */
import { type ChildProcess, fork } from 'node:child_process';
import { InputError, RunError } from '../errors.js';
import type { Answer, Command } from './messages.js';

export class WorkerProcess {
  private readonly child: ChildProcess;
  /** How the process ended, once it has: it may do so while it is not asked anything. */
  private death: RunError | undefined;

  /** @param name of the recipe, for messages */
  constructor(name: string) {
    // A small heap of new objects, as bin/hpff.js asks for.
    this.child = fork(new URL('./worker.js', import.meta.url), { execArgv: ['--max-semi-space-size=1'] });
    this.child.once('exit', (code, signal) => {
      const how = signal ? `signal ${signal}` : `exit code ${code}`;
      this.death = new RunError('BENCH_DIED', `${name}: its process ended with ${how}`);
    });
  }

  /**
   * Sends a command and waits for the answer of that kind.
   * @throws InputError or RunError as the process reports; RunError where it dies
   */
  ask<K extends Answer['kind']>(command: Command, kind: K): Promise<Extract<Answer, { kind: K }>> {
    return new Promise((resolve, reject) => {
      if (this.death) return reject(this.death);
      const settle = (act: () => void): void => {
        this.child.off('message', onMessage);
        this.child.off('exit', onExit);
        act();
      };
      const onMessage = (message: unknown): void => {
        const answer = message as Answer;
        if (answer.kind === 'failed') settle(() => reject(failure(answer)));
        else if (answer.kind === kind) settle(() => resolve(answer as Extract<Answer, { kind: K }>));
        else settle(() => reject(new RunError('BENCH_FAILED', `asked for '${kind}', answered '${answer.kind}'`)));
      };
      const onExit = (): void => settle(() => reject(this.death!));
      this.child.on('message', onMessage);
      this.child.on('exit', onExit);
      // What cannot be sent need not be told: the process has closed its channel, and its end follows.
      this.child.send(command, () => {});
    });
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

function failure({ code, message, exitCode }: Extract<Answer, { kind: 'failed' }>): Error {
  return exitCode === 2 ? new InputError(code, message) : new RunError(code, message);
}
