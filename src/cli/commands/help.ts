/** `hpff help [COMMAND]`: as `--help`, but an unknown command is refused like everywhere else. */
import { InputError } from '../../errors.js';
import { quoted } from '../../files/printable.js';
import type { AddCommand } from '../command.js';

export const addHelp: AddCommand = (program) => {
  program
    .helpCommand(false)
    .command('help [command]')
    .description('show how to use hpff or one of its commands')
    .action((name?: string) => {
      const command = name === undefined ? program : program.commands.find((each) => each.name() === name);
      if (command !== undefined) return command.outputHelp();
      const names = program.commands.map((each) => each.name()).join(', ');
      throw new InputError('USAGE', `help: found ${quoted(name ?? '', 60)}, allowed: ${names}`);
    });
};
