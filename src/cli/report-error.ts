/** The end of a command that did not succeed: one line on stderr, and the exit code. */
import { CommanderError } from 'commander';
import { HpffError } from '../errors.js';
import { printable } from '../files/printable.js';
import { errnoCode } from '../files/system-errors.js';
import type { Sink } from './output.js';

const LINE_LENGTH = 2000;

/** Several things that went wrong, each with a line of its own. */
export class Failures extends Error {
  /** @param errors one at least */
  constructor(readonly errors: readonly Error[]) {
    super(errors.map(({ message }) => message).join('; '));
  }
}

/**
 * Writes `hpff: CODE: message`, or `hpff: internal error: …` for what nobody foresaw. The stack follows only where the
 * environment sets HPFF_DEBUG=1.
 * @returns the exit code: 0 where help or the version was asked for, 1 failed while running, 2 bad usage or input
 */
export function reportError(error: unknown, stderr: Sink): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  if (error instanceof Failures) return Math.max(...error.errors.map((each) => reportError(each, stderr)));
  const { line, exitCode } = describe(error);
  stderr.write(`hpff: ${printable(line, LINE_LENGTH)}\n`);
  if (process.env.HPFF_DEBUG === '1' && error instanceof Error) stderr.write(`${error.stack}\n`);
  return exitCode;
}

function describe(error: unknown): { line: string; exitCode: number } {
  if (error instanceof CommanderError) return { line: `USAGE: ${usageLine(error.message)}`, exitCode: 2 };
  if (error instanceof HpffError) return { line: `${error.code}: ${error.message}`, exitCode: error.exitCode };
  const message = error instanceof Error ? error.message : String(error);
  const code = errnoCode(error);
  return { line: code === undefined ? `internal error: ${message}` : `SYSTEM: ${message}`, exitCode: 1 };
}

/** Commander's message on one line, without its own prefix. */
function usageLine(message: string): string {
  return message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ');
}
