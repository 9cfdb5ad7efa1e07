/** How a training begins: as a new run, or where an old one was left. Nothing is written yet. */
import { checkWeights, type Manifest, stateSpecs } from '../artifacts/index.js';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import type { NamedTensors } from '../files/tensor.js';
import { initialWeights } from '../local/index.js';
import type { Recipe } from '../recipe/index.js';
import type { CheckpointState } from './checkpoint-state.js';
import { readRun, requireFreeFolder, requireSameRecipe, type Run } from './run-folder.js';
import type { TrainOptions } from './options.js';

/** What the command line sets in a recipe. */
export type Overrides = CheckpointState['overrides'];

export interface Beginning {
  /** With its overrides. */
  readonly recipe: Recipe;
  readonly overrides: Overrides;
  /** null: a new run. */
  readonly run: Run | null;
  /** What a new run starts from; null: weights from the seed. */
  readonly weights: NamedTensors | null;
}

/**
 * Looks at the run folder. What the command line set when the run was begun (`epochs`, `seed`) holds when it is resumed.
 * @throws InputError as `requireFreeFolder`, or as `readRun` and `requireSameRecipe`
 */
export async function begin(given: Recipe, options: TrainOptions): Promise<Beginning> {
  const asked: Overrides = {
    ...(options.epochs === undefined ? {} : { epochs: options.epochs }),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  };
  if (!options.resume) {
    await requireFreeFolder(options.folder);
    return { recipe: override(given, asked), overrides: asked, run: null, weights: options.weights ?? null };
  }
  const run = await readRun(options.folder);
  const overrides = { ...run.checkpoint.state.overrides, ...asked };
  const recipe = override(given, overrides);
  requireSameRecipe(run, recipe);
  return { recipe, overrides, run, weights: null };
}

/** Weights and optimizer state to start from, checked; `optimizer: null` stands for that of a first step. */
export function startingState(
  { recipe, run, weights: given }: Beginning,
  manifest: Manifest,
): { weights: NamedTensors; optimizer: NamedTensors | null } {
  if (run === null) {
    const weights = given ? checkWeights(given, manifest.parameters, 'weights') : initialWeights(recipe);
    return { weights, optimizer: null };
  }
  const { folder, weights, optimizer } = run.checkpoint;
  return {
    weights: checkWeights(weights, manifest.parameters, `${folder}/weights.safetensors`),
    optimizer: checkWeights(optimizer, stateSpecs(manifest), `${folder}/optimizer.safetensors`),
  };
}

/**
 * Refuses to go on with other training images.
 * @throws InputError `RESUME_DATA`
 */
export function requireSameData({ run }: Beginning, hash: string): void {
  if (run === null || run.checkpoint.state.dataHash === hash) return;
  throw new InputError(
    'RESUME_DATA',
    `${printable(run.folder)}: the run was begun on other training images; allowed: to resume with the same --data`,
  );
}

/** One line for each circumstance in which a resumed run cannot have the bits of an undisturbed one. */
export function changedCircumstances({ run }: Beginning, now: CheckpointState['computed']): string[] {
  if (run === null) return [];
  const before = run.checkpoint.state.computed;
  const keys = Object.keys(now) as (keyof typeof now)[];
  return keys
    .filter((key) => key !== 'schedule' || methodOf(before) !== methodOf(now))
    .filter((key) => before[key] !== now[key])
    .map((key) => `${key} was ${before[key]} and is now ${now[key]}: results may differ in their last bits`);
}

/** Without a delay, `async` computes what `sync` does, to the bit. */
const methodOf = ({ schedule, delay }: CheckpointState['computed']): string =>
  schedule === 'async' && delay === 0 ? 'sync' : schedule;

function override(recipe: Recipe, { epochs, seed }: Overrides): Recipe {
  return {
    ...recipe,
    schedule: epochs === undefined ? recipe.schedule : { ...recipe.schedule, epochs },
    seed: seed ?? recipe.seed,
  };
}
