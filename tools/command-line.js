/** The command lines of tools: `--help`, and one line about what is wrong. */
import { parseArgs } from 'node:util';

/**
 * Parses the arguments as `parseArgs` does; prints `usage` and ends for --help, and ends with code 2 for what `parseArgs` refuses.
 * @returns its values and positionals
 */
export function commandLine(usage, { options, ...rest }) {
  try {
    const found = parseArgs({ ...rest, options: { ...options, help: { type: 'boolean', default: false } } });
    if (!found.values.help) return found;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    if (!error.code?.startsWith('ERR_PARSE_ARGS')) throw error;
    console.error(`${error.message.split('\n')[0]}\n${usage}`);
    process.exit(2);
  }
}
