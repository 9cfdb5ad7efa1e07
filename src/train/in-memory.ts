/**
 * Training on images in memory, with a runtime that the caller has made and without files: what a browser needs. Steps, order of the images and learning
 * rates are those of `train`; on the same runtime, the bits of the weights too.
 */
import { averagedWeights, checkWeights, keptStates, type Manifest } from '../artifacts/index.js';
import { checkClasses } from '../data/checks.js';
import type { Dataset } from '../data/dataset.js';
import { checkGiven } from '../data/given.js';
import { Loader } from '../data/loader.js';
import { prefetch } from '../data/prefetch.js';
import { trainingSubset } from '../data/sample.js';
import { InputError } from '../errors.js';
import type { NamedTensors } from '../files/tensor.js';
import { initialWeights } from '../local/index.js';
import type { StepLosses } from '../pipeline/engine.js';
import { type OnRuntimeOptions, openOnRuntime } from '../pipeline/open-on-runtime.js';
import type { StepEngine } from '../pipeline/step-engine.js';
import type { Recipe } from '../recipe/types.js';
import type { Runtime } from '../runtime/runtime.js';
import { evaluate, evaluationBatch } from './evaluate.js';
import type { EvaluationEvent, StepProgress } from './events.js';
import { requireFiniteEvaluation, requireFiniteLosses } from './finite.js';
import { learningRate } from './learning-rate.js';
import { totalSteps } from './total-steps.js';

/** What a training goes on from: plain typed arrays, which structured clone carries, to a worker or into IndexedDB. */
export interface TrainingState {
  /** Optimizer steps done. */
  readonly step: number;
  /** Parameters and running statistics, of trunk and heads. */
  readonly weights: NamedTensors;
  readonly optimizer: NamedTensors;
}

export interface InMemoryProgress extends StepProgress, StepLosses {
  /** Step to end at. */
  readonly totalSteps: number;
}

export interface EpochResult extends Omit<EvaluationEvent, 'event' | 'trainAccuracy'> {
  /** Copies what the training could go on from. */
  readonly state: () => Promise<TrainingState>;
}

export interface InMemoryOptions extends Pick<OnRuntimeOptions, 'schedule'> {
  /** Weights to start from, of trunk and heads; default: drawn from the recipe's seed. */
  readonly weights?: NamedTensors;
  /** What to go on from, instead. */
  readonly resume?: TrainingState;
  /** Optimizer steps of the whole training; default: all of the recipe's epochs. */
  readonly steps?: number;
  /** Ends the training after the step in progress; what it has come to is the result. */
  readonly signal?: AbortSignal;
  readonly onStep?: (progress: InMemoryProgress) => void;
  /** Is awaited, at the end of every epoch. */
  readonly onEpoch?: (result: EpochResult) => void | Promise<void>;
}

export interface InMemoryResult {
  /** What to use, e.g. in `exportModel`: with moving averages where the recipe keeps them. */
  readonly weights: NamedTensors;
  /** What to go on from. */
  readonly state: TrainingState;
  /** On the test images, 0 … 1. */
  readonly testAccuracy: number;
  /** Mean cross-entropy in nats. */
  readonly testLoss: number;
}

/**
 * Trains and evaluates. The runtime stays the caller's, and empty.
 * @param data both splits, pixels as stored: 8 bits a channel
 * @throws InputError where recipe, data and weights do not fit one another; NotFiniteError `LOSS_NOT_FINITE`
 */
export async function trainInMemory(
  recipe: Recipe,
  runtime: Runtime,
  data: { readonly train: Dataset; readonly test: Dataset },
  options: InMemoryOptions = {},
): Promise<InMemoryResult> {
  const { network, seed } = recipe;
  checkGiven(data.train, 'data.train');
  checkGiven(data.test, 'data.test');
  for (const split of [data.train, data.test]) checkClasses(split, network.classes);
  checkStep(options.steps, 'steps');
  checkStep(options.resume?.step, 'resume.step');
  const train = new Loader(trainingSubset(data.train, recipe.data), recipe.data, network.image, { seed, train: true });
  const batch = evaluationBatch(recipe.data, network.image);
  const test = new Loader(data.test, { ...recipe.data, batch }, network.image, { seed: 0, train: false });
  const { engine, manifest } = await openOnRuntime(recipe, runtime, options);
  try {
    load(engine, recipe, manifest, options);
    return await new InMemoryTraining(recipe, engine, train, test, options).run();
  } finally {
    engine.dispose();
  }
}

/** @throws InputError `TRAIN_STEPS` */
function checkStep(step: number | undefined, where: string): void {
  if (step === undefined || (Number.isSafeInteger(step) && step >= 0)) return;
  throw new InputError('TRAIN_STEPS', `${where}: found ${step}, allowed: a whole number from 0`);
}

function load(engine: StepEngine, recipe: Recipe, manifest: Manifest, { weights, resume }: InMemoryOptions): void {
  if (!resume) {
    engine.load(weights ? checkWeights(weights, manifest.parameters, 'weights') : initialWeights(recipe));
    return;
  }
  const states = keptStates(manifest.states).map(({ name, shape }) => ({ name, shape, kind: 'parameter' as const }));
  engine.load(
    checkWeights(resume.weights, manifest.parameters, 'resume.weights'),
    checkWeights(resume.optimizer, states, 'resume.optimizer'),
  );
}

class InMemoryTraining {
  private readonly totalSteps: number;
  private step: number;
  private evaluation: EvaluationOf | undefined;

  constructor(
    private readonly recipe: Recipe,
    private readonly engine: StepEngine,
    private readonly train: Loader,
    private readonly test: Loader,
    private readonly options: InMemoryOptions,
  ) {
    this.totalSteps = totalSteps(recipe, train.batchesPerEpoch, options.steps);
    this.step = options.resume?.step ?? 0;
  }

  async run(): Promise<InMemoryResult> {
    const { batchesPerEpoch } = this.train;
    while (this.step < this.totalSteps && !this.options.signal?.aborted) {
      const endOfEpoch = (Math.floor(this.step / batchesPerEpoch) + 1) * batchesPerEpoch;
      await this.runTo(Math.min(endOfEpoch, this.totalSteps));
      if (this.step === endOfEpoch) await this.endEpoch();
    }
    const { accuracy, loss } = await this.evaluated();
    const state = await this.state();
    const weights = averagedWeights(state.weights, state.optimizer);
    return { weights, state, testAccuracy: accuracy, testLoss: loss };
  }

  /** Trains up to and with `pause`, within an epoch, or to where it is asked to stop. */
  private async runTo(pause: number): Promise<void> {
    const { recipe, train, options } = this;
    const epoch = Math.floor(this.step / train.batchesPerEpoch);
    const rate = learningRate(recipe, epoch + 1);
    const batches = prefetch(train, { epoch, index: this.step % train.batchesPerEpoch, endEpoch: epoch + 1 });
    let given = this.step;
    let begun = performance.now();
    try {
      await this.engine.run({
        first: given + 1,
        next: async () => {
          if (given >= pause || options.signal?.aborted) return undefined;
          given++;
          return { batch: (await batches.next()).value!.batch, learningRate: rate };
        },
        report: (report) => {
          this.step++;
          requireFiniteLosses(report, { step: this.step, learningRate: rate });
          const { step, totalSteps } = this;
          const now = performance.now();
          const imagesPerSecond = (1000 * recipe.data.batch) / (now - begun);
          begun = now;
          const { losses, total } = report;
          options.onStep?.({ step, totalSteps, epoch: epoch + 1, losses, total, imagesPerSecond });
        },
      });
    } finally {
      await batches.return();
    }
  }

  private async endEpoch(): Promise<void> {
    const { accuracy: testAccuracy, loss: testLoss } = await this.evaluated();
    const { step, epoch } = this;
    await this.options.onEpoch?.({ step, epoch, testAccuracy, testLoss, state: async () => this.state() });
  }

  /** The evaluation after the last step. */
  private async evaluated(): Promise<EvaluationOf> {
    if (this.evaluation?.step === this.step) return this.evaluation;
    const { step, recipe } = this;
    const { accuracy, loss } = await evaluate(async (image) => this.engine.evaluate(image), this.test);
    requireFiniteEvaluation(loss, { step, learningRate: learningRate(recipe, this.epoch) });
    return (this.evaluation = { step, accuracy, loss });
  }

  private async state(): Promise<TrainingState> {
    const { step, engine } = this;
    return { step, weights: await engine.readWeights(), optimizer: await engine.readOptimizer() };
  }

  /** That of the last step; 1-based. */
  private get epoch(): number {
    return Math.max(1, Math.ceil(this.step / this.train.batchesPerEpoch));
  }
}

interface EvaluationOf {
  readonly step: number;
  readonly accuracy: number;
  readonly loss: number;
}
