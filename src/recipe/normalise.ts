/** From a sound recipe file to the recipe that the rest of the code sees: defaults by rule, and nothing the rule ignores. */
import { isDeepStrictEqual } from 'node:util';
import type { RecipeShape } from './schema/index.js';
import type { LocalConfig, LocalRule, Recipe, SplitConfig } from './types.js';

export interface Normalised {
  readonly recipe: Recipe;
  /** Keys of `local` that were set but have no effect under the recipe's rule. */
  readonly ignored: readonly (keyof LocalConfig)[];
  /** Whether that is so of the split. */
  readonly splitIgnored: boolean;
}

/** @param defaultName name of a recipe that does not give its own */
export function normalise(shape: RecipeShape, defaultName: string): Normalised {
  const written = fillLocal(shape.local);
  const local = keepWhatTheRuleUses(written);
  const writtenSplit = normaliseSplit(shape.split);
  const split = local.rule === 'bp' ? { modules: 1 } : writtenSplit;
  const recipe: Recipe = {
    name: shape.name ?? defaultName,
    network: shape.network,
    split,
    local,
    optimizer: shape.optimizer,
    schedule: shape.schedule,
    data: normaliseData(shape.data, shape.network.image[0]),
    seed: shape.seed,
  };
  const keys = Object.keys(written) as (keyof LocalConfig)[];
  return {
    recipe,
    ignored: keys.filter((key) => !isDeepStrictEqual(written[key], local[key])),
    splitIgnored: !isDeepStrictEqual(writtenSplit, split),
  };
}

function normaliseSplit(split: RecipeShape['split']): SplitConfig {
  return split?.boundaries === undefined ? { modules: split?.modules ?? 1 } : { boundaries: split.boundaries };
}

/** What stands where a recipe is silent, by rule. */
const DEFAULTS: Readonly<Record<LocalRule, Pick<LocalConfig, 'decoder' | 'lambda'>>> = {
  bp: { decoder: null, lambda: { decoder: [0, 0], classifier: [1, 1] } },
  dgl: { decoder: null, lambda: { decoder: [0, 0], classifier: [1, 1] } },
  infopro: { decoder: { widen: 1 }, lambda: { decoder: [5, 0], classifier: [0.5, 0] } },
};

function fillLocal(local: RecipeShape['local']): LocalConfig {
  const { decoder, lambda } = DEFAULTS[local.rule];
  const { net = local.rule === 'dgl' ? 'dgl' : '2c2f', ...classifier } = local.classifier;
  return {
    rule: local.rule,
    hierarchy: local.hierarchy,
    classifier: { net, ...classifier },
    decoder: local.decoder === undefined ? decoder : local.decoder,
    lambda: {
      decoder: local.lambda.decoder ?? lambda.decoder,
      classifier: local.lambda.classifier ?? lambda.classifier,
    },
    patches: local.patches,
    runningStatsPasses: local.runningStatsPasses,
  };
}

function keepWhatTheRuleUses(local: LocalConfig): LocalConfig {
  switch (local.rule) {
    case 'infopro':
      return local;
    case 'dgl':
      return { ...local, ...DEFAULTS.dgl, patches: withoutDecoder(local.patches) };
    case 'bp':
      return {
        rule: 'bp',
        hierarchy: null,
        classifier: { net: '2c2f', features: 128, widen: 1, loss: 'cross-entropy', temperature: 0.07 },
        ...DEFAULTS.bp,
        patches: null,
        runningStatsPasses: 1,
      };
  }
}

function withoutDecoder(patches: LocalConfig['patches']): LocalConfig['patches'] {
  return patches?.on.includes('classifier') ? { ...patches, on: ['classifier'] } : null;
}

/** @param channels of the images that the network takes */
function normaliseData(data: RecipeShape['data'], channels: number): Recipe['data'] {
  const perChannel = (list: readonly number[]) =>
    list.length === channels ? list : Array<number>(channels).fill(list[0]!);
  return {
    dataset: data.dataset,
    batch: data.batch,
    normalize: { mean: perChannel(data.normalize.mean), std: perChannel(data.normalize.std) },
    augment: data.augment ?? { crop: null, flip: false },
    convert: data.convert,
  };
}
