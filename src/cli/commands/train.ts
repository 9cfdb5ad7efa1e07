/** `hpff train RECIPE`: trains into a run folder. */
import type { StageTimes } from '../../pipeline/index.js';
import type { Recipe } from '../../recipe/index.js';
import { readRecipe } from '../../recipe/read.js';
import { nanPolicies, train, type TrainEvent, type TrainListener, type TrainOptions } from '../../train/index.js';
import { InputError } from '../../errors.js';
import { leaveReport } from '../../report/index.js';
import { addClusterOptions, clusterOptions, type ClusterCommandOptions, connectOption } from '../cluster-options.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import {
  backendOption,
  balanceOption,
  choiceOption,
  delayOption,
  deviceOption,
  epochsOption,
  integerOption,
  loweringOption,
  ortLibraryOption,
  scheduleOption,
  seedOption,
  stagesOption,
  stepsOption,
  threadsOption,
  verboseOption,
} from '../options.js';
import { Output, type Streams } from '../output.js';
import { addStageTimes, busyNote, ProgressSlot, stageLines } from '../progress.js';
import { stopOnSignals } from '../signals.js';
import {
  namingOption,
  originOf,
  readWeights,
  requireWeightsFor,
  resetOption,
  weightsOption,
  type WeightsOptions,
} from '../weights-options.js';
import { counted } from '../words.js';

interface TrainCommandOptions
  extends
    CommonOptions,
    ClusterCommandOptions,
    WeightsOptions,
    Omit<TrainOptions, 'folder' | 'signal' | 'cluster' | 'trace' | 'traceFile' | 'weights'> {
  readonly workers?: number;
  readonly float16?: true;
  readonly verbose?: true;
  readonly output: string;
  /** A file. */
  readonly trace?: string;
}

const details = `
A run can be stopped by Ctrl-C: it finishes its step, writes a checkpoint and leaves with exit code 1; a second Ctrl-C ends it
at once. It stops likewise when nobody reads its output any more (hpff train … | head). However it ended, the same command line with --resume goes on from the last checkpoint. --steps counts from the
beginning of the run, so a run of 20 steps that is resumed with --steps 50 makes 30 more.

Where a loss or a weight is NaN or infinite, training stops; the last checkpoint is from before. With --on-nan skip it goes on from that
checkpoint by itself without the step that led there, with --on-nan rollback without any of the steps since, so with other images. At the tenth
such failure without a checkpoint in between it stops too. Steps that are left out count as steps; each is warned of and is in metrics.jsonl.
Ctrl-C then writes no checkpoint of its own (docs/training.md).

--weights begins with the trunk of a safetensors file, such as a converted checkpoint of torchvision (docs/pytorch.md). A classifier of other
classes is drawn anew by --reset fc. A resumed run goes on with its own weights: the option is then passed over.

--trace writes what each stage of the schedule async does when, as a Chrome trace: open it in https://ui.perfetto.dev or in
chrome://tracing. The file can be read while the run goes on, and however it ends.
With --resume the file of the training before gets a number behind its name.

With --json, stdout has a line for each event: start, step (every 20 steps and at the end of an epoch, means over those
steps), skipped (a step that --on-nan left out), epoch (test accuracy and loss), checkpoint, and last done.`;

export const addTrain: AddCommand = (program, streams) => {
  const command = newCommand(program, 'train <recipe>', 'train a network')
    .requiredOption('-o, --output <run>', 'run folder: new, or with --resume that of the run to go on with')
    .option('--data <path>', 'folder of the data set (digits are bundled)')
    .addOption(epochsOption())
    .addOption(stepsOption())
    .addOption(scheduleOption())
    .addOption(delayOption())
    .addOption(stagesOption())
    .addOption(balanceOption())
    .addOption(loweringOption('ort-training'))
    .addOption(backendOption())
    .addOption(ortLibraryOption())
    .addOption(verboseOption())
    .addOption(deviceOption())
    .addOption(threadsOption())
    .addOption(seedOption())
    .addOption(weightsOption())
    .addOption(namingOption('whose names that file has (default: recognized)'))
    .addOption(resetOption())
    .option('--resume', 'go on with the run in the folder')
    .option('--trace <file>', 'async: write a Chrome trace of the stages')
    .addOption(
      integerOption('--checkpoint-every <n>', 'steps between checkpoints, besides each epoch (default: 500)', 1, 1e9),
    )
    .addOption(
      choiceOption('--on-nan <policy>', 'where a loss or a weight is no number (see below)', nanPolicies).default(
        'stop',
      ),
    )
    .addOption(connectOption())
    .addOption(
      integerOption(
        '--workers <n>',
        'with --connect: workers to wait for, each a stage (default: those there)',
        1,
        1024,
      ),
    )
    .option('--float16', 'with --connect: send features and relays in half precision');
  addClusterOptions(command)
    .addHelpText('after', details)
    .action(async (file: string, options: TrainCommandOptions) => {
      const output = new Output(streams, options.json ?? false);
      const recipe = await readRecipe(file, output.warn);
      using display = new Display(output, streams);
      const stopping = 'hpff: stopping after this step; once more to end at once';
      using signals = stopOnSignals(() => display.line(stopping), streams);
      const { output: folder, verbose, trace: traceFile, weights: from, ...rest } = options;
      requireWeightsFor(options, 'naming', 'reset');
      const more = {
        ...(from === undefined || options.resume ? {} : await startingWeights(recipe, from, options, display)),
        // Who waits for others must know for whom.
        ...(verbose || options.connect !== undefined ? { note: (line: string) => display.line(line) } : {}),
        ...(traceFile === undefined ? {} : { traceFile }),
      };
      const settings = { ...rest, ...clusterSettings(options, command.getOptionValueSource('schedule') === 'cli') };
      const work = train(recipe, { ...settings, ...more, folder, signal: signals.signal }, display);
      // However it ends, but not where it has not begun: the folder may hold another run.
      const result = await work.finally(() => (display.started ? leaveReport(folder, display.warn) : undefined));
      display.finish();
      if (options.json) return;
      const { testAccuracy, testLoss, testImages, step, skippedSteps } = result;
      const correct = Math.round(testAccuracy * testImages);
      const accuracy = `test accuracy ${testAccuracy.toFixed(4)} (${correct} of ${testImages})`;
      const leftOut = skippedSteps > 0 ? `, ${skippedSteps} of them left out` : '';
      const summary = `${accuracy}, loss ${testLoss.toFixed(4)}, after ${counted(step, 'step')}${leftOut}`;
      output.result(result, [...stageLines(display.stages), summary].join('\n'));
    });
};

/** What `--weights` sets. */
async function startingWeights(
  recipe: Recipe,
  file: string,
  options: TrainCommandOptions,
  display: Display,
): Promise<Pick<TrainOptions, 'weights'>> {
  const seed = options.seed ?? recipe.seed;
  const fitted = await readWeights(recipe, file, options, seed);
  display.line(`begins with ${originOf(file, fitted, seed)}`);
  return { weights: fitted.weights };
}

/** What `--connect` sets. @throws InputError for options that do not go with it, or not without it */
function clusterSettings(options: TrainCommandOptions, scheduleGiven: boolean): Pick<TrainOptions, 'cluster'> {
  const { connect, workers, float16, schedule, device, stages } = options;
  if (connect === undefined) {
    for (const name of ['workers', 'float16', 'pool', 'creds', 'tlsCa', 'tlsCert', 'tlsKey'] as const) {
      if (options[name] === undefined) continue;
      const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      throw new InputError('USAGE', `--${flag}: found without --connect, allowed: with it only`);
    }
    return {};
  }
  if (scheduleGiven && schedule !== 'async') {
    throw new InputError('USAGE', `--schedule: found '${schedule}' with --connect, allowed: async`);
  }
  if (device !== undefined && device !== 'cpu') {
    throw new InputError('USAGE', `--device: found '${device}' with --connect, allowed: cpu, on which workers compute`);
  }
  if (stages !== undefined) {
    throw new InputError('USAGE', '--stages: found with --connect, allowed: --workers, each of which is a stage');
  }
  return {
    cluster: {
      ...clusterOptions(connect, options),
      ...(workers === undefined ? {} : { workers }),
      ...(float16 ? { encoding: 'float16' } : {}),
    },
  };
}

/** Shows what a training tells: lines of JSON on stdout, or progress on stderr. */
class Display implements TrainListener, Disposable {
  private readonly slot: ProgressSlot;
  /** How busy stages were in the last group of steps. */
  private busy = '';
  private sums: readonly StageTimes[] = [];
  /** Whether training has begun. */
  started = false;

  constructor(
    private readonly output: Output,
    streams: Streams,
  ) {
    this.slot = new ProgressSlot(streams.stderr);
  }

  readonly warn = (line: string): void => this.line(`hpff: warning: ${line}`);

  readonly event = (event: TrainEvent): void => {
    this.output.event(event);
    if (event.event === 'start') {
      this.started = true;
      this.start(event);
    } else if (event.event === 'step' && event.stages) {
      this.busy = `  ${busyNote(event.stages)}`;
      this.sums = addStageTimes(this.sums, event.stages);
    } else if (event.event === 'epoch') {
      const { epoch, step, testAccuracy, testLoss } = event;
      this.slot.line(
        `epoch ${epoch} (step ${step}): test accuracy ${testAccuracy.toFixed(4)}, loss ${testLoss.toFixed(4)}`,
      );
    }
  };

  readonly progress: TrainListener['progress'] = (progress) => this.slot.update(progress, this.busy);

  /** What the stages of the schedule `async` have done in all; none under others. */
  get stages(): readonly StageTimes[] {
    return this.sums;
  }

  /** A line for the user, above the progress bar. */
  line(text: string): void {
    this.slot.line(text);
  }

  /** Takes the progress bar away. */
  finish(): void {
    this.slot.finish();
  }

  [Symbol.dispose](): void {
    this.finish();
  }

  private start({
    step,
    totalSteps,
    stepsPerEpoch,
    recipe,
    modules,
    trainImages,
  }: TrainEvent & { event: 'start' }): void {
    this.slot.begin({ total: totalSteps, start: step, unit: 'step' });
    const resumed = step > 0 ? `, from step ${step}` : '';
    this.slot.line(
      `${recipe}: ${counted(modules, 'module')}, ${trainImages} images, ${counted(stepsPerEpoch, 'step')} an epoch${resumed}`,
    );
    if (step >= totalSteps) {
      this.slot.line(`nothing is left to train: the run is at step ${step} and was to end at step ${totalSteps}`);
    }
  }
}
