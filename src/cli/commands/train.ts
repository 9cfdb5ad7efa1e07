/** `hpff train RECIPE`: trains into a run folder. */
import { readRecipe } from '../../recipe/index.js';
import { train, type TrainEvent, type TrainListener, type TrainOptions } from '../../train/index.js';
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
  verboseOption,
} from '../options.js';
import { Output, type Streams } from '../output.js';
import { noProgress, showProgress, type Progress } from '../progress.js';
import { stopOnSignals } from '../signals.js';

interface TrainCommandOptions extends CommonOptions, Omit<TrainOptions, 'folder' | 'signal'> {
  readonly verbose?: true;
  readonly output: string;
}

const details = `
A run can be stopped by Ctrl-C: it finishes its step, writes a checkpoint and leaves with exit code 1; a second Ctrl-C ends it
at once. However it ended, the same command line with --resume goes on from the last checkpoint. --steps counts from the
beginning of the run, so a run of 20 steps that is resumed with --steps 50 makes 30 more.

With --json, stdout has a line for each event: start, step (every 20 steps and at the end of an epoch, means over those
steps), epoch (test accuracy and loss), checkpoint, and last done.`;

export const addTrain: AddCommand = (program, streams) => {
  newCommand(program, 'train <recipe>', 'train a network')
    .requiredOption('-o, --output <run>', 'run folder: new, or with --resume that of the run to go on with')
    .option('--data <path>', 'folder of the data set (digits are bundled)')
    .addOption(epochsOption())
    .addOption(stepsOption())
    .addOption(scheduleOption())
    .addOption(delayOption())
    .addOption(stagesOption())
    .addOption(balanceOption())
    .addOption(loweringOption())
    .addOption(verboseOption())
    .addOption(deviceOption())
    .addOption(threadsOption())
    .addOption(seedOption())
    .option('--resume', 'go on with the run in the folder')
    .addOption(
      integerOption('--checkpoint-every <n>', 'steps between checkpoints, besides each epoch (default: 500)', 1, 1e9),
    )
    .addHelpText('after', details)
    .action(async (file: string, options: TrainCommandOptions) => {
      const output = new Output(streams, options.json ?? false);
      const recipe = await readRecipe(file, output.warn);
      using display = new Display(output, streams);
      using signals = stopOnSignals(() => display.line('hpff: stopping after this step; once more to end at once'));
      const { output: folder, verbose, ...rest } = options;
      const note = verbose ? { note: (line: string) => display.line(line) } : {};
      const result = await train(recipe, { ...rest, ...note, folder, signal: signals.signal }, display);
      display.finish();
      if (options.json) return;
      const { testAccuracy, testLoss, testImages, step } = result;
      const correct = Math.round(testAccuracy * testImages);
      output.result(
        result,
        `test accuracy ${testAccuracy.toFixed(4)} (${correct} of ${testImages}), loss ${testLoss.toFixed(4)}, after ${step} steps`,
      );
    });
};

/** Shows what a training tells: lines of JSON on stdout, or progress on stderr. */
class Display implements TrainListener {
  private progressBar: Progress = noProgress;

  constructor(
    private readonly output: Output,
    private readonly streams: Streams,
  ) {}

  readonly warn = (line: string): void => this.output.warn(line);

  readonly event = (event: TrainEvent): void => {
    this.output.event(event);
    if (event.event === 'start') this.start(event);
    else if (event.event === 'epoch') {
      const { epoch, step, testAccuracy, testLoss } = event;
      this.progressBar.line(
        `epoch ${epoch} (step ${step}): test accuracy ${testAccuracy.toFixed(4)}, loss ${testLoss.toFixed(4)}`,
      );
    }
  };

  readonly progress: TrainListener['progress'] = ({ step, epoch, total, imagesPerSecond }) => {
    const speed = imagesPerSecond.toPrecision(3);
    this.progressBar.update(step, `loss ${total.toFixed(4)}  ${Number(speed)} images/s  epoch ${epoch}`);
  };

  /** A line for the user, above the progress bar. */
  line(text: string): void {
    if (this.progressBar === noProgress) this.output.message(text);
    else this.progressBar.line(text);
  }

  /** Takes the progress bar away. */
  finish(): void {
    this.progressBar[Symbol.dispose]();
    this.progressBar = noProgress;
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
    this.progressBar = showProgress(this.streams.stderr, { total: totalSteps, start: step, unit: 'step' });
    const resumed = step > 0 ? `, from step ${step}` : '';
    this.progressBar.line(
      `${recipe}: ${modules} modules, ${trainImages} images, ${stepsPerEpoch} steps an epoch${resumed}`,
    );
  }
}
