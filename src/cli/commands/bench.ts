/** `hpff bench RECIPE`: step time and peak memory on synthetic data. */
import { availableParallelism } from 'node:os';
import { bench, type BenchResult, profile, type Subject } from '../../bench/index.js';
import { readRecipe, type Recipe } from '../../recipe/index.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import {
  batchOption,
  delayOption,
  loweringOption,
  scheduleOption,
  stagesOption,
  stepsOption,
  threadsOption,
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
}

const details = `
Each recipe runs in a process of its own, their steps in turn; times are the minimum, median and maximum of the steps after the first.
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
      const total = options.profile ? 2 * steps : steps;
      using bar = options.json ? noProgress : showProgress(streams.stderr, { total, unit: 'rounds' });
      const results = await bench(subjects, steps, (done) => bar.update(done, ''));
      if (!options.profile) return output.result({ results }, table(results));
      const profiles = await profile(subjects, steps, (done) => bar.update(steps + done, ''));
      const tables = profiles.map((found, i) => profileTables(found, results[i]!.stepSeconds.median));
      output.result({ results, profiles }, [table(results), ...tables].join('\n\n'));
    });
};

function subjectOf(recipe: Recipe, { schedule, delay, stages, lowering, threads, batch }: BenchOptions): Subject {
  const data = batch === undefined ? recipe.data : { ...recipe.data, batch };
  const each = schedule === 'async' ? 1 : availableParallelism();
  return { recipe: { ...recipe, data }, schedule, delay, stages, lowering, threads: threads ?? each };
}

function table(results: readonly BenchResult[]): string {
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  const lines = results.map(
    ({
      recipe,
      schedule,
      lowering,
      threads,
      batch,
      stepSeconds,
      peakBytes,
      weightBytes,
      predictedBytes,
      processPeakBytes,
      openSeconds,
    }) =>
      `${recipe}: ${schedule}, ${lowering}, threads ${threads}, batch ${batch}\n` +
      `  step ${stepSeconds.median.toFixed(3)} s (${stepSeconds.min.toFixed(3)} … ${stepSeconds.max.toFixed(3)}), ` +
      `peak ${mebibytes(peakBytes)} MiB, beyond weights ${mebibytes(peakBytes - weightBytes)} MiB ` +
      `(predicted ${mebibytes(predictedBytes)} MiB), whole process ${mebibytes(processPeakBytes)} MiB, opened in ${openSeconds.toFixed(2)} s`,
  );
  const [first, second] = results;
  if (first && second) {
    const ratio = (first.stepSeconds.median / second.stepSeconds.median).toFixed(3);
    const memory = ((first.peakBytes - first.weightBytes) / (second.peakBytes - second.weightBytes)).toFixed(3);
    lines.push(`first / second: step ${ratio}, memory beyond weights ${memory}`);
  }
  return lines.join('\n');
}
