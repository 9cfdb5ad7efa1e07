/** Training a recipe: checks everything, starts the engine, runs the loop. */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { openCluster } from '../cluster/index.js';
import { RunError } from '../errors.js';
import { printable } from '../files/printable.js';
import { openEngine } from '../pipeline/index.js';
import type { Recipe } from '../recipe/index.js';
import { begin, changedCircumstances, requireSameData, startingState } from './beginning.js';
import type { TrainListener } from './events.js';
import { learningRate } from './learning-rate.js';
import { trainThroughFailures } from './recovery.js';
import { RunLock } from './run-lock.js';
import { paceOf, type TrainOptions } from './options.js';
import { trainingSessionOptions } from './ort-training.js';
import { alsoTracing, openTrace } from './trace.js';
import { totalSteps } from './total-steps.js';
import { loadTrainingData } from './training-data.js';
import { Training, type TrainResult } from './training.js';

/**
 * Trains a recipe into a run folder, or goes on with the run that is there.
 *
 * Everything is checked and read before the folder is made. A run that is killed and resumed has the bits of one that was
 * not, on the same machine, threads, schedule and lowering.
 *
 * @throws InputError where recipe, data, options or folder are not as they must be; RunError `LOSS_NOT_FINITE` or `WEIGHTS_NOT_FINITE`
 * where training diverges (the last checkpoint is from before; see `options.onNan`), `TRAIN_INTERRUPTED` where `options.signal` stopped it;
 * InputError `LOCKED` where another process trains in the folder
 */
export async function train(given: Recipe, options: TrainOptions, listener: TrainListener = {}): Promise<TrainResult> {
  const pace = paceOf(options);
  await using lock = new RunLock(options.folder);
  if (options.resume) await lock.take();
  const beginning = await begin(given, options);
  warnOfNoLearning(beginning.recipe, listener);
  const data = await loadTrainingData(beginning.recipe, options.data);
  requireSameData(beginning, data.hash);
  warnOfEarlyEnd(beginning.recipe, options, data.train.batchesPerEpoch, listener);
  await using tracing = await openTrace(options, beginning.recipe.name, listener);
  const { schedule = 'sync', lowering, device = 'cpu', threads, delay, stages, balance, note } = options;
  const toldOf: TrainOptions['trace'] = (event) => {
    tracing?.task(event);
    options.trace?.(event);
  };
  const trace = tracing || options.trace ? toldOf : undefined;
  const training = trainingSessionOptions(beginning, options, data.train.batchesPerEpoch);
  const settings = { schedule, lowering, device, threads, delay, stages, balance, trace, note, ...training };
  const { cluster, folder, signal } = options;
  const open = cluster
    ? await openCluster(beginning.recipe, cluster, settings, path.resolve(folder), signal).catch((error: unknown) => {
        throw whileWaiting(error, options, beginning.run ? 'go on with --resume' : 'nothing was written');
      })
    : await openEngine(beginning.recipe, settings);
  try {
    const { runtime, manifest } = open;
    const computed = {
      onnxRuntime: open.trains?.onnxRuntime ?? runtime.version,
      device,
      schedule: cluster ? 'async' : schedule,
      lowering: manifest.lowering,
      delay: open.engine.delay,
      threads: open.trains?.threads ?? threads ?? (cluster || schedule === 'async' ? 1 : availableParallelism()),
    };
    for (const line of changedCircumstances(beginning, computed)) listener.warn?.(line);
    const told = tracing ? alsoTracing(listener, tracing) : listener;
    const lastStep = totalSteps(beginning.recipe, data.train.batchesPerEpoch, options.steps);
    return await trainThroughFailures(open, beginning, given, lastStep, options, told, async (attempt) => {
      // Stages may be others after a loss.
      tracing?.arrange(open.engine.takeTimes().map(({ modules }) => modules));
      const { weights, optimizer } = startingState(attempt.beginning, manifest);
      open.engine.load(weights, optimizer ?? undefined);
      return new Training(attempt, data, open, computed, pace, options, told, lock).run();
    });
  } catch (error) {
    throw whileWaiting(error, options, 'go on with --resume');
  } finally {
    await open.leave?.();
    open.dispose();
  }
}

/** What was thrown, but for the signal's reason: then it was waiting, for workers or for their server. @param left what there is of the run */
function whileWaiting(error: unknown, { folder, signal }: TrainOptions, left: string): unknown {
  if (!signal?.aborted || error !== signal.reason) return error;
  const reason = `${printable(folder)}: stopped as asked while it waited for workers; ${left}`;
  return new RunError('TRAIN_INTERRUPTED', reason);
}

function warnOfNoLearning(recipe: Recipe, { warn }: TrainListener): void {
  const { type, epochs } = recipe.schedule;
  if (type !== 'cosine' || epochs > 1 || learningRate(recipe, 1) > 0) return;
  warn?.(
    'schedule: the cosine is 0 in its last epoch, so one epoch alone learns nothing: train more, or use "constant"',
  );
}

function warnOfEarlyEnd(recipe: Recipe, { steps }: TrainOptions, perEpoch: number, { warn }: TrainListener): void {
  const total = totalSteps(recipe, perEpoch);
  if (steps === undefined || steps <= total) return;
  warn?.(
    `--steps: found ${steps}, but training ends after ${total} (epochs × steps of each: ${recipe.schedule.epochs} × ${perEpoch})`,
  );
}
