/** Training several recipes under equal conditions, run after run. */
import path from 'node:path';
import { HpffError, InputError, RunError } from '../errors.js';
import { ensureDirectory, removeLeftovers } from '../files/atomic.js';
import { printable } from '../files/printable.js';
import { maxSeed, type Recipe } from '../recipe/index.js';
import type { Machine } from '../train/index.js';
import { version } from '../version.js';
import {
  type ComparedRun,
  comparedRecipes,
  type Comparison,
  differences,
  distinct,
  factsOf,
  type RecipeFacts,
} from './document.js';
import type { Answer, SharedOptions } from './messages.js';
import { plannedRuns, type PlannedRun } from './order.js';
import { takeFolder } from './plan.js';
import { runInProcess } from './process.js';
import { runFigures, type RunFigures, type RunState, runState } from './run-result.js';
import { type GivenRecipe, type Subject, subjectsOf } from './subjects.js';
import { writeComparison } from './write.js';

export interface CompareOptions extends SharedOptions {
  /** Of the comparison. */
  readonly folder: string;
  /** Each recipe is trained with each. */
  readonly seeds: readonly number[];
  /** Stops after the step in progress, with a checkpoint. */
  readonly signal?: AbortSignal;
}

/** One run among all. */
export interface RunPlace {
  /** 1-based. */
  readonly number: number;
  readonly count: number;
  readonly label: string;
  readonly seed: number;
}

export interface CompareListener {
  /** A run begins, goes on, or was finished before. */
  readonly begin?: (place: RunPlace, how: 'new' | 'resumed' | 'finished') => void;
  readonly answer?: (place: RunPlace, answer: Answer) => void;
  /** @param reason null if it is done */
  readonly end?: (place: RunPlace, reason: string | null) => void;
}

/**
 * Trains each recipe with each seed, each run in a process of its own, and writes what comes of it after each run. Runs that are finished are not
 * repeated, those that were interrupted go on; one that fails does not stop the others.
 *
 * @throws InputError, before anything is trained, for recipes, options or a folder that do not go together; RunError `COMPARE_INTERRUPTED` where
 * `signal` stopped it; what the first run threw where every run failed
 */
export async function compare(
  given: readonly GivenRecipe[],
  options: CompareOptions,
  listener: CompareListener = {},
): Promise<Comparison> {
  const { folder, seeds, signal: _signal, ...shared } = options;
  requireSeeds(seeds);
  const subjects = subjectsOf(given);
  const comparing = new Comparing(subjects, subjects.map(factsOf), options, shared, listener);
  await comparing.lookAtRuns();
  await using _lock = await takeFolder(folder, shared);
  const planned = plannedRuns(subjects.length, seeds);
  for (const [i, run] of planned.entries()) await comparing.make(run, i + 1, planned.length);
  return comparing.end();
}

/** @throws InputError `COMPARE_SEEDS` */
function requireSeeds(seeds: readonly number[]): void {
  const wrong = seeds.find((seed) => !Number.isInteger(seed) || seed < 0 || seed > maxSeed);
  if (wrong === undefined) return;
  throw new InputError(
    'COMPARE_SEEDS',
    `seeds: found ${wrong} among ${seeds.length}, allowed: integers from 0 to ${maxSeed}`,
  );
}

class Comparing {
  /** By recipe and seed. */
  private readonly failures = new Map<string, Error>();
  /** Of finished runs, whose metrics need not be read again. */
  private readonly figures = new Map<string, RunFigures>();

  constructor(
    private readonly subjects: readonly Subject[],
    private readonly facts: readonly RecipeFacts[],
    private readonly options: CompareOptions,
    private readonly shared: SharedOptions,
    private readonly listener: CompareListener,
  ) {}

  /** Refuses runs of other recipes, before anything is trained. */
  async lookAtRuns(): Promise<void> {
    for (const run of plannedRuns(this.subjects.length, this.options.seeds)) await this.state(run);
  }

  async make(run: PlannedRun, number: number, count: number): Promise<void> {
    const { seed } = run;
    const subject = this.subjects[run.recipe]!;
    const place = { number, count, label: subject.label, seed };
    if (this.options.signal?.aborted) await this.interrupted();
    const state = await this.state(run);
    this.listener.begin?.(place, state === null ? 'new' : state.finished ? 'finished' : 'resumed');
    if (!state?.finished) {
      if (state === null) await this.makeRoom(run);
      await this.train(run, place, state !== null);
    }
    await this.write();
  }

  async end(): Promise<Comparison> {
    const comparison = await this.write();
    const errors = [...this.failures.values()];
    if (errors.length === comparison.recipes.flatMap(({ runs }) => runs).length) throw errors[0]!;
    return comparison;
  }

  private async train(run: PlannedRun, place: RunPlace, resume: boolean): Promise<void> {
    const { signal } = this.options;
    const request = {
      recipe: this.subjects[run.recipe]!.recipe,
      options: { ...this.shared, folder: this.folderOf(run), seed: run.seed, resume },
    };
    const tell = (answer: Answer): void => this.listener.answer?.(place, answer);
    try {
      await runInProcess(request, tell, signal);
      this.listener.end?.(place, null);
    } catch (error) {
      if (signal?.aborted) await this.interrupted();
      if (!(error instanceof HpffError)) throw error;
      this.failures.set(keyOf(run), error);
      this.listener.end?.(place, reasonOf(error));
    }
  }

  /** A run that was killed while it began has left its beginning beside its folder. */
  private async makeRoom(run: PlannedRun): Promise<void> {
    const folder = path.dirname(this.folderOf(run));
    await ensureDirectory(folder);
    await removeLeftovers(folder);
  }

  private async interrupted(): Promise<never> {
    await this.write();
    const at = printable(this.options.folder);
    throw new RunError('COMPARE_INTERRUPTED', `${at}: stopped as asked; the same command goes on`);
  }

  private state(run: PlannedRun): Promise<RunState | null> {
    return runState(this.folderOf(run), this.recipeOf(run), this.shared.steps);
  }

  /** With what the options set in it. */
  private recipeOf({ recipe, seed }: PlannedRun): Recipe {
    const { recipe: given } = this.subjects[recipe]!;
    const { epochs = given.schedule.epochs } = this.shared;
    return { ...given, seed, schedule: { ...given.schedule, epochs } };
  }

  private folderOf(run: PlannedRun): string {
    return path.join(this.options.folder, this.relativeFolderOf(run));
  }

  private relativeFolderOf({ recipe, seed }: PlannedRun): string {
    return path.join(this.subjects[recipe]!.folder, `seed-${seed}`);
  }

  private async write(): Promise<Comparison> {
    const comparison = await this.document();
    await writeComparison(this.options.folder, comparison);
    return comparison;
  }

  private async document(): Promise<Comparison> {
    const machines: Machine[] = [];
    const runs = await Promise.all(
      this.subjects.map((_, recipe) =>
        Promise.all(this.options.seeds.map((seed) => this.comparedRun({ recipe, seed }, machines))),
      ),
    );
    const { data: _data, checkpointEvery: _every, ...options } = this.shared;
    return {
      hpff: version,
      complete: runs.flat().every(({ status }) => status === 'done'),
      seeds: this.options.seeds,
      options,
      machines: distinct(machines),
      ...differences(this.subjects.map(({ recipe }) => recipe)),
      recipes: comparedRecipes(this.facts, runs),
    };
  }

  /** @param machines takes those on which the run trained */
  private async comparedRun(run: PlannedRun, machines: Machine[]): Promise<ComparedRun> {
    const state = await this.state(run);
    if (state) machines.push(...state.outline.sessions.map(({ machine }) => machine));
    const failure = this.failures.get(keyOf(run));
    return {
      seed: run.seed,
      folder: this.relativeFolderOf(run),
      status: state?.finished ? 'done' : failure ? 'failed' : state ? 'unfinished' : 'waiting',
      reason: failure ? reasonOf(failure) : null,
      ...(state ? await this.figuresOf(run, state) : noFigures),
    };
  }

  private async figuresOf(run: PlannedRun, { finished }: RunState): Promise<RunFigures> {
    const figures = this.figures.get(keyOf(run)) ?? (await runFigures(this.folderOf(run)));
    if (finished) this.figures.set(keyOf(run), figures);
    return figures;
  }
}

const noFigures: RunFigures = {
  step: 0,
  testAccuracy: null,
  testLoss: null,
  bestTestAccuracy: null,
  trainLoss: null,
  stepSeconds: null,
  trainSeconds: 0,
  peakBytes: null,
  curve: [],
};

const REASON_LENGTH = 1000;

const keyOf = ({ recipe, seed }: PlannedRun): string => `${recipe}/${seed}`;

const reasonOf = (error: Error): string =>
  printable(error instanceof HpffError ? `${error.code}: ${error.message}` : error.message, REASON_LENGTH);
