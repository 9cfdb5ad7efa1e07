/** How a command is added to the program: each file in commands/ exports one function that does so. */
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { InputError } from '../errors.js';
import type { Streams } from './output.js';

/** Adds one command. Its action writes to `streams` and throws what goes wrong. */
export type AddCommand = (program: Command, streams: Streams) => void;

/** The options that all commands have. */
export interface CommonOptions {
  readonly json?: true;
}

/** A new command with the common options. @param usage its name and arguments, as in `check <recipe>` */
export function newCommand(program: Command, usage: string, description: string): Command {
  return program
    .command(usage)
    .description(description)
    .option('--json', 'write JSON on stdout, and nothing else there')
    .hook('preAction', refuseEmpty)
    .hook('preAction', warnOfThreads);
}

/** An empty text names nothing: it is what a shell makes of a variable that is not set. @throws InputError `USAGE` */
function refuseEmpty(command: Command): void {
  const refuse = (name: string, allowed: string): never => {
    throw new InputError('USAGE', `${name}: found '', allowed: ${allowed}`);
  };
  command.registeredArguments.forEach((argument, i) => {
    if ([command.processedArgs[i]].flat().includes('')) refuse(argument.name(), 'the name of a file or folder');
  });
  for (const option of command.options) {
    if (command.getOptionValue(option.attributeName()) === '') refuse(option.long!, option.flags.split(' ').at(-1)!);
  }
}

/** More threads than cores only get in each other's way. */
function warnOfThreads(command: Command): void {
  const { threads } = command.opts<{ threads?: number }>();
  const cores = availableParallelism();
  if (threads === undefined || threads <= cores) return;
  const line = `hpff: warning: --threads: found ${threads}, but there are ${cores} cores: steps may take longer\n`;
  command.configureOutput().writeErr?.(line);
}
