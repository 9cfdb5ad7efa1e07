/** `hpff bench RECIPE`: step time and peak memory on synthetic data. */
import { availableParallelism } from 'node:os';
import {
  bench,
  type BenchResult,
  profile,
  ProfileFolder,
  type Ratios,
  ratios,
  type Subject,
} from '../../bench/index.js';
import { printable } from '../../files/printable.js';
import type { Recipe } from '../../recipe/index.js';
import { readRecipe } from '../../recipe/read.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import {
  batchOption,
  delayOption,
  loweringOption,
  scheduleOption,
  stagesOption,
  stepsOption,
  threadsOption,
  verboseOption,
} from '../options.js';
import { Output } from '../output.js';
import { profileTables } from '../profile-tables.js';
import { noProgress, showProgress } from '../progress.js';

interface BenchOptions extends CommonOptions {
  readonly against?: string;
  readonly schedule: string;
  readonly delay?: number;
  readonly stages?: number;
  readonly lowering: string;
  readonly threads?: number;
  readonly steps?: number;
  readonly batch?: number;
  readonly profile?: true;
  readonly verbose?: true;
}

const details = `
Each recipe runs in a process of its own, their steps in turn; times are the minimum, median and maximum of the steps after the first.
With --against, the ratio of the step times is the median of the ratios of the rounds, in each of which both take a step one after the
other: it says more than the ratio of the medians where the machine is faster at some times than at others.

Peak memory is the highest resident memory of that process less what it had before the weights were loaded; beyond weights leaves out
parameters, running statistics and optimizer state too. Predicted is what is alive at once of all that the graphs make (see hpff inspect).
The peak of the whole process counts from its start on.

Under the schedule async, eight steps are measured together, and a step counts as an eighth; predicted is what it is under sync.

With --profile, steps are then taken in further processes, in which ONNX Runtime measures every operator. What it spends between kernels
is for the most part the measuring itself; outside ONNX Runtime, tensors are made, moved and freed between the graphs of a step.`;

export const addBench: AddCommand = (program, streams) => {
  newCommand(program, 'bench <recipe>', 'measure step time and peak memory on synthetic data')
    .option('--against <recipe>', 'a second recipe to measure in turn with the first')
    .addOption(scheduleOption())
    .addOption(delayOption())
    .addOption(stagesOption())
    .addOption(loweringOption())
    .addOption(verboseOption())
    .addOption(threadsOption())
    .addOption(stepsOption().default(5))
    .addOption(batchOption())
    .option('--profile', 'then measure every operator of as many steps, by phase, module and layer')
    .addHelpText('after', details)
    .action(async (file: string, options: BenchOptions) => {
      const output = new Output(streams, options.json ?? false);
      const files = options.against === undefined ? [file] : [file, options.against];
      const recipes = await Promise.all(files.map((path) => readRecipe(path, output.warn)));
      const { steps = 5 } = options;
      const subjects = recipes.map((recipe) => subjectOf(recipe, options));
      // Made first: that it cannot be made is better known before the measurement than after it.
      using folder = options.profile ? ProfileFolder.make() : null;
      const total = options.profile ? 2 * steps : steps;
      using bar = options.json ? noProgress : showProgress(streams.stderr, { total, unit: 'round' });
      const note = options.verbose ? { note: options.json ? output.message : (line: string) => bar.line(line) } : {};
      const measured = await bench(subjects, steps, { progress: (done) => bar.update(done, ''), ...note });
      const results = measured.map((result, i) => ({ file: files[i]!, ...result }));
      const [first, second] = results;
      const compared = first && second ? { ratios: ratios(first, second) } : {};
      const text = table(results, compared.ratios);
      const tellTimes = (): void => output.result({ results, ...compared }, text);
      if (!folder) return tellTimes();
      const found = await profile(subjects, steps, folder, (done) => bar.update(steps + done, '')).catch((error) => {
        tellTimes(); // what has been measured is not lost with the profile
        throw error;
      });
      const profiles = found.map((each, i) => ({ file: files[i]!, ...each }));
      const tables = titled(profiles).map((each, i) => profileTables(each, results[i]!.stepSeconds.median));
      output.result({ results, ...compared, profiles }, [text, ...tables].join('\n\n'));
    });
};

function subjectOf(recipe: Recipe, { schedule, delay, stages, lowering, threads, batch }: BenchOptions): Subject {
  const data = batch === undefined ? recipe.data : { ...recipe.data, batch };
  const each = schedule === 'async' ? 1 : availableParallelism();
  return { recipe: { ...recipe, data }, schedule, delay, stages, lowering, threads: threads ?? each };
}

/** With the file beside the name of the recipe where another has the same name. */
function titled<T extends { readonly file: string; readonly recipe: string }>(entries: readonly T[]): T[] {
  const twice = new Set(entries.map(({ recipe }) => recipe)).size < entries.length;
  return entries.map((entry) => (twice ? { ...entry, recipe: `${entry.recipe} (${printable(entry.file)})` } : entry));
}

function table(results: readonly (BenchResult & { readonly file: string })[], compared?: Ratios): string {
  const lines = titled(results).map(
    ({ recipe, schedule, lowering, threads, batch, stepSeconds, openSeconds, ...memory }) =>
      `${recipe}: ${schedule}, ${lowering}, threads ${threads}, batch ${batch}\n` +
      `  step ${stepSeconds.median.toFixed(3)} s (${stepSeconds.min.toFixed(3)} … ${stepSeconds.max.toFixed(3)}), ` +
      `${memoryText(memory)}, opened in ${openSeconds.toFixed(2)} s`,
  );
  if (compared) {
    const { stepSeconds, beyondWeightsBytes } = compared;
    lines.push(
      `first / second: step ${stepSeconds.toFixed(3)} (median over the rounds), ` +
        `memory beyond weights ${beyondWeightsBytes.toFixed(3)}`,
    );
  }
  return lines.join('\n');
}

type Memory = Pick<BenchResult, 'peakBytes' | 'beyondWeightsBytes' | 'predictedBytes' | 'processPeakBytes'>;

function memoryText({ peakBytes, beyondWeightsBytes, predictedBytes, processPeakBytes }: Memory): string {
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return (
    `peak ${mebibytes(peakBytes)}, beyond weights ${mebibytes(beyondWeightsBytes)} ` +
    `(predicted ${mebibytes(predictedBytes)}), whole process ${mebibytes(processPeakBytes)}`
  );
}
