/** `hpff compare R1 R2 …`: several recipes under equal conditions. */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import {
  compare,
  type Comparison,
  type Answer,
  type CompareListener,
  type RunPlace,
  type SharedOptions,
  resultTable,
} from '../../compare/index.js';
import { RunError } from '../../errors.js';
import { printable } from '../../files/printable.js';
import { readRecipe } from '../../recipe/read.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import {
  balanceOption,
  delayOption,
  deviceOption,
  epochsOption,
  integerOption,
  loweringOption,
  scheduleOption,
  seedOption,
  stagesOption,
  stepsOption,
  threadsOption,
} from '../options.js';
import { Output } from '../output.js';
import { ProgressSlot } from '../progress.js';
import { stopOnSignals } from '../signals.js';
import { counted } from '../words.js';

interface CompareCommandOptions extends CommonOptions, SharedOptions {
  readonly output: string;
  readonly seeds: number;
  readonly seed?: number;
}

const details = `
Every run is a process of its own, one after the other: seed after seed, the recipes in turn forwards and backwards. Runs lie in
FOLDER/<recipe>/seed-<seed>; the result is written after each of them, as comparison.md, comparison.json, comparison.svg and
comparison.html. The same command line goes on with a comparison that was stopped: runs that are finished are not repeated, and
recipes and seeds may be added. A run that fails is shown as failed and does not stop the others; the exit code is then 1.

Recipes may differ in anything. What differs besides their local learning is listed under "Conditions".`;

export const addCompare: AddCommand = (program, streams) => {
  newCommand(
    program,
    'compare <recipes...>',
    'train several recipes under equal conditions: accuracy over seeds, time, memory',
  )
    .requiredOption('-o, --output <folder>', 'folder of the comparison: new, or one to go on with')
    .addOption(integerOption('--seeds <n>', 'how many seeds each recipe is trained with', 1, 1000).default(1))
    .addOption(seedOption())
    .option('--data <path>', 'folder of the data set (digits are bundled)')
    .addOption(epochsOption())
    .addOption(stepsOption())
    .addOption(scheduleOption())
    .addOption(delayOption())
    .addOption(stagesOption())
    .addOption(balanceOption())
    .addOption(loweringOption())
    .addOption(deviceOption())
    .addOption(threadsOption())
    .addHelpText('after', details)
    .action(
      async (files: string[], { output: folder, json, seeds: count, seed, ...options }: CompareCommandOptions) => {
        const output = new Output(streams, json ?? false);
        const given = [];
        for (const file of files) {
          given.push({ file, recipe: await readRecipe(file, (line) => output.warn(`${printable(file)}: ${line}`)) });
        }
        const first = seed ?? given[0]!.recipe.seed;
        const seeds = Array.from({ length: count }, (_, i) => first + i);
        const threads = options.threads ?? (options.schedule === 'async' ? 1 : availableParallelism());
        using slot = new ProgressSlot(streams.stderr);
        const kill = new AbortController();
        process.once('exit', () => kill.abort());
        using signals = stopOnSignals(
          () => slot.line('hpff: stopping after this step; once more to end at once'),
          streams,
        );
        const comparison = await compare(
          given,
          { ...options, threads, folder, seeds, signal: signals.signal },
          new Display(slot),
        );
        slot.finish();
        output.result(
          comparison,
          `${resultTable(comparison, (text) => text)}\n\n${path.join(folder, 'comparison.html')} has curves and details.`,
        );
        requireAllDone(comparison);
      },
    );
};

/** @throws RunError `COMPARE_RUNS_FAILED` */
function requireAllDone({ recipes }: Comparison): void {
  const failed = recipes.flatMap(({ name, runs }) =>
    runs.filter(({ status }) => status !== 'done').map(({ seed }) => `${name} with seed ${seed}`),
  );
  if (failed.length === 0) return;
  const more = failed.length > 3 ? ` and ${failed.length - 3} more` : '';
  throw new RunError(
    'COMPARE_RUNS_FAILED',
    `${counted(failed.length, 'run')} failed: ${failed.slice(0, 3).join(', ')}${more}`,
  );
}

/** Shows on stderr how the runs go. */
class Display implements CompareListener {
  private title = '';

  constructor(private readonly slot: ProgressSlot) {}

  readonly begin: CompareListener['begin'] = (place, how) => {
    this.title = `${place.number}/${place.count} ${titleOf(place)}`;
    if (how === 'finished') this.slot.line(`${this.title}: done before`);
  };

  readonly answer = (place: RunPlace, answer: Answer): void => {
    if (answer.kind === 'started') {
      const { step, totalSteps } = answer;
      this.slot.begin({ total: totalSteps, start: step, unit: 'step' });
      this.slot.line(`${this.title}${step > 0 ? `: goes on from step ${step}` : ''}`);
    } else if (answer.kind === 'progress') {
      this.slot.update(answer.progress);
    } else if (answer.kind === 'evaluated') {
      this.slot.line(`${titleOf(place)}, epoch ${answer.epoch}: test accuracy ${answer.testAccuracy.toFixed(4)}`);
    } else if (answer.kind === 'warning') {
      this.slot.line(`hpff: warning: ${titleOf(place)}: ${answer.line}`);
    }
  };

  readonly end: CompareListener['end'] = (_place, reason) => {
    if (reason !== null) this.slot.line(`${this.title}: failed: ${printable(reason, 500)}`);
    this.slot.finish();
  };
}

const titleOf = ({ label, seed }: RunPlace): string => `${printable(label, 80)}, seed ${seed}`;
