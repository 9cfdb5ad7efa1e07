/** Options that several commands share, read strictly: a whole value of the right kind within its bounds, or a refusal. */
import { Option } from 'commander';
import { InputError } from '../errors.js';
import { quoted } from '../files/printable.js';
import { backendNames, balanceNames, loweringNames, scheduleNames } from '../pipeline/index.js';
import { maxSeed } from '../recipe/index.js';
import { parseDevices } from '../runtime/device.js';

export const epochsOption = () =>
  integerOption('--epochs <n>', 'epochs to train, instead of what the recipe says', 1, 1_000_000);
export const stepsOption = () => integerOption('--steps <n>', 'optimizer steps', 1, Number.MAX_SAFE_INTEGER);
export const batchOption = () =>
  integerOption('--batch <n>', 'images per step, instead of what the recipe says', 1, 65536);
export const threadsOption = (usual = 'all cores; async: 1 for each stage') =>
  integerOption('--threads <n>', `threads to compute with (default: ${usual})`, 1, 1024);
export const delayOption = () =>
  integerOption('--delay <d>', 'async: batches by which updates that wait for a relay are late (default: 0)', 0, 64);
export const stagesOption = () =>
  integerOption(
    '--stages <n>',
    'async: groups of modules that run side by side (default: what the cores allow)',
    1,
    1024,
  );
export const balanceOption = () => choiceOption('--balance <what>', 'async: what stages have alike', balanceNames);
export const seedOption = () => integerOption('--seed <n>', 'seed, instead of what the recipe says', 0, maxSeed);

/** An option whose value is an integer in decimal digits from `min` to `max`. Anything else: InputError `USAGE`. */
export function integerOption(flags: string, description: string, min: number, max: number): Option {
  const option = new Option(flags, description);
  return option.argParser((text: string) => {
    const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    const allowed = max === Number.MAX_SAFE_INTEGER ? `an integer ≥ ${min}` : `an integer from ${min} to ${max}`;
    throw new InputError('USAGE', `${option.long}: found ${quoted(text, 60)}, allowed: ${allowed}`);
  });
}

/** An option whose value is one of `values`. Anything else: InputError `USAGE`. */
export function choiceOption(flags: string, description: string, values: readonly string[]): Option {
  const option = new Option(flags, `${description}: ${values.join(', ')}`);
  return option.argParser((text: string) => {
    if (values.includes(text)) return text;
    throw new InputError('USAGE', `${option.long}: found ${quoted(text, 60)}, allowed: ${values.join(', ')}`);
  });
}

export const scheduleOption = () =>
  choiceOption(
    '--schedule <schedule>',
    'one graph, one set of graphs per module, or modules that update on their own',
    scheduleNames,
  ).default('sync');
/** @param more lowerings that only some commands know */
export const loweringOption = (...more: readonly string[]) =>
  choiceOption('--lowering <lowering>', 'how operators are written', [...loweringNames, ...more]).default('auto');
export const backendOption = () =>
  choiceOption('--backend <backend>', "ordinary sessions, or ONNX Runtime's training API", backendNames);
export const ortLibraryOption = () =>
  new Option(
    '--ort-library <path>',
    'experimental, with --backend ort-training: a shared library of ONNX Runtime 1.19.2 built with training, instead of its WebAssembly build',
  );
export const deviceOption = () =>
  new Option(
    '--device <device>',
    'where to compute: cpu, cuda:N or webgpu (see hpff devices); with --schedule async several, e.g. cuda:0,cuda:1',
  )
    .argParser((text: string) =>
      parseDevices(text, '--device')
        .map(({ name }) => name)
        .join(),
    )
    .default('cpu');

export const verboseOption = () => new Option('--verbose', 'say on stderr which lowering is used, and why');
