/** The command line: builds the program from its commands, runs it, and turns its end into an exit code. */
import { Command } from 'commander';
import { InputError } from '../errors.js';
import { version } from '../version.js';
import type { AddCommand } from './command.js';
import { addBench } from './commands/bench.js';
import { addBuild } from './commands/build.js';
import { addCheck } from './commands/check.js';
import { addCompare } from './commands/compare.js';
import { addDevices } from './commands/devices.js';
import { addEval } from './commands/eval.js';
import { addExport } from './commands/export.js';
import { addHelp } from './commands/help.js';
import { addInit } from './commands/init.js';
import { addInspect } from './commands/inspect.js';
import { addReport } from './commands/report.js';
import { addSchema } from './commands/schema.js';
import { addStep } from './commands/step.js';
import { addTrain } from './commands/train.js';
import { addWorker } from './commands/worker.js';
import type { Sink, Streams } from './output.js';
import { reportError } from './report-error.js';

/** In the order of the help. */
const COMMANDS: readonly AddCommand[] = [
  addCheck,
  addInspect,
  addInit,
  addBuild,
  addBench,
  addTrain,
  addCompare,
  addReport,
  addWorker,
  addEval,
  addExport,
  addStep,
  addDevices,
  addSchema,
  addHelp,
];

/**
 * Runs one command.
 * @param args the command line after `hpff`
 * @returns the exit code; errors have been reported on stderr
 */
export async function run(args: readonly string[], streams: Streams): Promise<number> {
  const program = buildProgram(streams);
  try {
    if (args.length === 0) throw noCommand(program);
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return reportError(error, streams.stderr);
  }
}

/** Runs the command that this process was started for. */
export async function main(): Promise<void> {
  exitOnBrokenOutput(process);
  process.on('uncaughtException', (error) => process.exit(reportError(error, process.stderr)));
  // Not process.exit: what is still on its way to a pipe would be lost.
  process.exitCode = await run(process.argv.slice(2), process);
}

function buildProgram(streams: Streams): Command {
  const program = new Command('hpff')
    .description('Train neural networks module by module, on ONNX Runtime.')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => streams.stderr.write(text),
      outputError: () => {}, // reportError prints it
      getOutHelpWidth: () => streams.stdout.columns || 100,
    });
  for (const add of COMMANDS) add(program, streams);
  return program;
}

function noCommand(program: Command): InputError {
  const names = program.commands.map((command) => command.name());
  return new InputError('USAGE', `missing command, allowed: ${names.join(', ')} (see hpff --help)`);
}

/**
 * A reader that has seen enough (`hpff … | head`) ends the process quietly, unless the command listens, too: it has work to save. Any other
 * failure is reported.
 */
function exitOnBrokenOutput({ stdout, stderr }: Streams): void {
  const isLeftToCommand = (stream: Sink, { code }: NodeJS.ErrnoException): boolean =>
    code === 'EPIPE' && stream.listenerCount('error') > 1;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isLeftToCommand(stdout, error)) return;
    process.exit(error.code === 'EPIPE' ? 0 : reportError(error, stderr));
  });
  stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (!isLeftToCommand(stderr, error)) process.exit(1);
  });
}
