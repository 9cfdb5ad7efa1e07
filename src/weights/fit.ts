/** Weights from a file held against a recipe: whose names they have, what is taken, what is drawn. */
import { checkWeights } from '../artifacts/index.js';
import { InputError } from '../errors.js';
import { printable, quoted } from '../files/printable.js';
import { float32, type HostTensor, type NamedTensors } from '../files/tensor.js';
import { buildStep } from '../local/index.js';
import { initialize, type ParameterSpec } from '../nn/index.js';
import type { Recipe } from '../recipe/types.js';
import {
  countFound,
  isRunningMean,
  type Naming,
  type NamingName,
  namingOf,
  recognizeNaming,
  trackedName,
} from './naming.js';
import { wrongNaming } from './wrong-naming.js';

/** What may begin anew although the file has it: the layer that gives the class scores, the auxiliary heads. */
export const resettable = ['fc', 'heads'] as const;
export type Resettable = (typeof resettable)[number];

export interface FitOptions {
  /** Whose names the tensors have. Default: recognized. */
  readonly naming?: NamingName | undefined;
  /** Drawn from the seed, whatever the file has. */
  readonly reset?: readonly Resettable[] | undefined;
  /** Instead of the recipe's. */
  readonly seed?: number | undefined;
}

export interface FittedWeights {
  /** All parameters and statistics of the recipe, under our names. */
  readonly weights: NamedTensors;
  readonly naming: NamingName;
  /** How many of them are the file's. */
  readonly taken: number;
  /** What was drawn from the seed. */
  readonly drawn: readonly Resettable[];
}

/**
 * The weights that training starts from when a file has some: the trunk is the file's, and so are the heads if it has any. Heads that it
 * has not, and what is to be reset, are drawn as `initialWeights` does. PyTorch's `num_batches_tracked` are left aside; a bias b that a batch
 * norm absorbs goes into its running mean, μ - b.
 *
 * @param where the file's name, for errors
 * @throws InputError as `checkWeights`, with the file's names; `WEIGHTS_NAMING` where its names are not those of the naming,
 * `WEIGHTS_CLASSES` where its classifier has other classes
 */
export function fitWeights(
  tensors: NamedTensors,
  recipe: Recipe,
  where: string,
  options: FitOptions = {},
): FittedWeights {
  const specs = buildStep(recipe, 2).parameters; // they do not depend on the batch
  const trunk = specs.filter(({ name }) => !isHead(name));
  const own = trunk.map(({ name }) => name);
  const names = new Set(tensors.keys());
  const recognized = recognizeNaming(names, recipe.network, own);
  const name = options.naming ?? recognized;
  const naming = namingOf(name, recipe.network, own);
  const count = countFound(names, own, naming);
  // Blocks have the same names under several namings, so that some are found under any.
  if (count === 0 || count < countFound(names, own, namingOf(recognized, recipe.network, own))) {
    throw wrongNaming(names, recipe.network, own, name, where);
  }

  const hasHeads = [...names].some(isHead);
  const partOf = partsOf(own);
  const isDrawn = (part: Resettable | null): boolean =>
    part !== null && ((options.reset?.includes(part) ?? false) || (part === 'heads' && !hasHeads));
  const drawn = specs.filter((spec) => isDrawn(partOf(spec.name)));
  const wanted = specs.filter((spec) => !isDrawn(partOf(spec.name)));
  if (!isDrawn('fc')) requireClasses(tensors, trunk, recipe, naming, where);
  const leftAside = new Set([
    ...own.filter(isRunningMean).map((mean) => trackedName(naming.theirs(mean))),
    ...drawn.map((spec) => naming.theirs(spec.name)),
    ...[...names].filter((each) => isHead(each) && isDrawn('heads')),
  ]);
  const offered = new Map([...tensors].filter(([each]) => !leftAside.has(each)));
  const found = withRemedy(() => checkWeights(offered, wantedSpecs(wanted, naming), where));
  const fresh = initialize(drawn, options.seed ?? recipe.seed);
  return {
    weights: new Map(specs.map((spec) => [spec.name, fresh.get(spec.name) ?? taken(spec, found, naming)])),
    naming: name,
    taken: wanted.length,
    drawn: resettable.filter((part) => drawn.some((spec) => partOf(spec.name) === part)),
  };
}

const isHead = (name: string): boolean => name.startsWith('heads.');

/** Which of what can be drawn a parameter belongs to, if any. @param own names of the trunk's, of which the last is in the last layer */
function partsOf(own: readonly string[]): (name: string) => Resettable | null {
  const last = own.at(-1)!.replace(/\w+$/, '');
  return (name) => (isHead(name) ? 'heads' : name.startsWith(last) ? 'fc' : null);
}

/** What the file must have: under its names, with the biases that we do without. */
function wantedSpecs(specs: readonly ParameterSpec[], { theirs, absorbedBias }: Naming): ParameterSpec[] {
  return specs.flatMap((spec) => {
    const bias = isRunningMean(spec.name) && !isHead(spec.name) ? absorbedBias(spec.name) : null;
    const renamed = { ...spec, name: theirs(spec.name) };
    return bias === null ? [renamed] : [renamed, { ...spec, name: bias, kind: 'parameter' }];
  });
}

function taken({ name, shape }: ParameterSpec, found: NamedTensors, { theirs, absorbedBias }: Naming): HostTensor {
  const tensor = found.get(theirs(name))!;
  const bias = isRunningMean(name) && !isHead(name) ? absorbedBias(name) : null;
  if (bias === null) return tensor;
  const biases = found.get(bias)!.data as Float32Array;
  return float32(shape, (tensor.data as Float32Array).map((mean, channel) => mean - biases[channel]!)); // prettier-ignore
}

/** Says it plainly where a classifier is of other classes, which is no mistake in the file. */
function requireClasses(
  tensors: NamedTensors,
  trunk: readonly ParameterSpec[],
  { network }: Recipe,
  { theirs }: Naming,
  where: string,
): void {
  const { name, shape } = trunk.findLast((spec) => spec.shape.length === 2)!;
  const found = tensors.get(theirs(name))?.shape;
  if (found?.length !== 2 || found[0] === shape[0] || found[1] !== shape[1]) return;
  throw new InputError(
    'WEIGHTS_CLASSES',
    `${printable(where)}: tensor ${quoted(theirs(name))}: found ${found[0]} classes, allowed: ${network.classes}, as network.classes says, ` +
      'or a new classifier (--reset fc of train and init)',
  );
}

/** Heads belong to a recipe's split and rule; those of another may be dropped. */
function withRemedy<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof InputError) || !error.message.includes(': tensor "heads.')) throw error;
    const remedy = '--reset heads draws all heads from the seed';
    throw new InputError(error.code, `${error.message}; ${remedy}`, { cause: error });
  }
}
