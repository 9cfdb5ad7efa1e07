/** The loop of a training in memory. */
import { averagedWeights } from '../artifacts/index.js';
import type { Loader } from '../data/loader.js';
import { prefetch } from '../data/prefetch.js';
import { UsageError } from '../errors.js';
import type { TrainEngine } from '../pipeline/engine.js';
import type { Recipe } from '../recipe/types.js';
import { evaluate, type Evaluation } from './evaluate.js';
import { requireFiniteEvaluation, requireFiniteLosses } from './finite.js';
import type { InMemoryOptions, InMemoryResult, TrainingState } from './in-memory.js';
import { learningRate } from './learning-rate.js';
import { totalSteps } from './total-steps.js';

/** The engine holds the starting state. */
export class InMemoryTraining {
  private readonly totalSteps: number;
  private step: number;
  /** That after the last step, once it is made. */
  private evaluation: Evaluation | undefined;

  constructor(
    private readonly recipe: Recipe,
    private readonly engine: TrainEngine,
    private readonly train: Loader,
    private readonly test: Loader,
    private readonly options: InMemoryOptions,
  ) {
    this.totalSteps = totalSteps(recipe, train.batchesPerEpoch, options.steps);
    this.step = options.resume?.step ?? 0;
  }

  async run(): Promise<InMemoryResult> {
    const { batchesPerEpoch } = this.train;
    while (this.step < this.totalSteps && !this.stopped) {
      const endOfEpoch = (Math.floor(this.step / batchesPerEpoch) + 1) * batchesPerEpoch;
      await this.runTo(Math.min(endOfEpoch, this.totalSteps));
      if (this.step === endOfEpoch) await this.endEpoch();
    }
    await this.evaluate();
    const state = await this.state();
    const weights = averagedWeights(state.weights, state.optimizer);
    const { accuracy = null, loss = null } = this.evaluation ?? {};
    return { weights, state, testAccuracy: accuracy, testLoss: loss };
  }

  private get stopped(): boolean {
    return this.options.signal?.aborted ?? false;
  }

  /** Trains up to and with `pause`, within an epoch, or to where it is asked to stop. */
  private async runTo(pause: number): Promise<void> {
    const { recipe, train, totalSteps, options } = this;
    const epoch = Math.floor(this.step / train.batchesPerEpoch);
    const rate = learningRate(recipe, epoch + 1);
    const batches = prefetch(train, { epoch, index: this.step % train.batchesPerEpoch, endEpoch: epoch + 1 });
    let given = this.step;
    let begun = performance.now();
    try {
      await this.engine.run({
        first: given + 1,
        next: async () => {
          if (given >= pause || this.stopped) return undefined;
          given++;
          return { batch: (await batches.next()).value!.batch, learningRate: rate };
        },
        report: async (report) => {
          const step = ++this.step;
          this.evaluation = undefined;
          requireFiniteLosses(report, { step, learningRate: rate });
          const { losses, total } = report;
          const imagesPerSecond = (1000 * recipe.data.batch) / (performance.now() - begun);
          await options.onStep?.({ step, totalSteps, epoch: epoch + 1, losses, total, imagesPerSecond });
          begun = performance.now();
        },
      });
    } finally {
      await batches.return();
    }
  }

  private async endEpoch(): Promise<void> {
    await this.evaluate();
    const { step, epoch, evaluation } = this;
    if (!evaluation) return;
    const { accuracy: testAccuracy, loss: testLoss } = evaluation;
    const copies: Promise<TrainingState>[] = [];
    let over = false;
    const state = async (): Promise<TrainingState> => {
      if (over) throw new UsageError('STATE_GONE', `epoch ${epoch}: its state was asked for after onEpoch`);
      const copy = this.state();
      copies.push(copy);
      return copy;
    };
    try {
      await this.options.onEpoch?.({ step, epoch, testAccuracy, testLoss, state });
    } finally {
      over = true;
      // Whoever asked for one is told of its failure.
      await Promise.allSettled(copies);
    }
  }

  /** Unless that was done after this step, or it is asked to stop before it is through. */
  private async evaluate(): Promise<void> {
    if (this.evaluation || this.stopped) return;
    const { step, recipe, options } = this;
    try {
      const found = await evaluate(async (image) => this.engine.evaluate(image), this.test, options.signal);
      requireFiniteEvaluation(found.loss, { step, learningRate: learningRate(recipe, this.epoch) });
      this.evaluation = found;
    } catch (error) {
      if (!this.stopped || error !== options.signal?.reason) throw error;
    }
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
