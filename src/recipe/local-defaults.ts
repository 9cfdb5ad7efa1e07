/** Recipe key `local`: defaults by rule, and nothing that the rule ignores. */
import { sameJson } from './canonical.js';
import type { RecipeShape } from './schema/index.js';
import type { DecoderNet, HeadKind, LambdaPair, LocalConfig, LocalRule, NetworkConfig } from './types.js';

/** A path below `local`. */
export type IgnoredKey = keyof LocalConfig | `lambda.${HeadKind}`;

/** What a rule has, and what stands where a recipe is silent. */
interface RuleDefaults {
  readonly heads: readonly HeadKind[];
  readonly net: LocalConfig['classifier']['net'];
  readonly decoder: LocalConfig['decoder'];
  readonly lambda: LocalConfig['lambda'];
  readonly auglocal: LocalConfig['auglocal'];
}

const none: LambdaPair = [0, 0];
const one: LambdaPair = [1, 1];
/** A classifier alone, at weight 1. */
const single = { decoder: none, similarity: none, classifier: one };

const RULES: Readonly<Record<LocalRule, RuleDefaults>> = {
  bp: { heads: [], net: '2c2f', decoder: null, lambda: single, auglocal: null },
  dgl: { heads: ['classifier'], net: 'dgl', decoder: null, lambda: single, auglocal: null },
  infopro: {
    heads: ['decoder', 'classifier'],
    net: '2c2f',
    decoder: { net: 'cifar', widen: 1 },
    lambda: { decoder: [5, 0], similarity: none, classifier: [0.5, 0] },
    auglocal: null,
  },
  predsim: {
    heads: ['similarity', 'classifier'],
    net: '0c1f',
    decoder: null,
    lambda: { decoder: none, similarity: [0.99, 0.99], classifier: [0.01, 0.01] },
    auglocal: null,
  },
  auglocal: {
    heads: ['classifier'],
    net: '2c2f',
    decoder: null,
    lambda: single,
    auglocal: { depth: 3, coefficient: 0.5 },
  },
};

/** Images whose shorter side has so many pixels get the heads that were made for ImageNet. */
const IMAGENET_SIDE = 128;

function defaultsFor(rule: LocalRule, [, height, width]: NetworkConfig['image']): RuleDefaults {
  const defaults = RULES[rule];
  if (Math.min(height, width) < IMAGENET_SIDE || !defaults.decoder) return defaults;
  return { ...defaults, net: 'imagenet', decoder: { ...defaults.decoder, net: 'imagenet' } };
}

/** Fills in what a recipe does not say. */
export function fillLocal(local: RecipeShape['local'], image: NetworkConfig['image']): LocalConfig {
  const defaults = defaultsFor(local.rule, image);
  const { net = defaults.net, ...classifier } = local.classifier;
  return {
    rule: local.rule,
    hierarchy: local.hierarchy,
    classifier: { net, ...classifier },
    decoder: local.decoder === undefined ? defaults.decoder : fillDecoder(local.decoder, image),
    lambda: {
      decoder: local.lambda.decoder ?? defaults.lambda.decoder,
      similarity: local.lambda.similarity ?? defaults.lambda.similarity,
      classifier: local.lambda.classifier ?? defaults.lambda.classifier,
    },
    auglocal: local.auglocal === undefined ? defaults.auglocal : local.auglocal,
    patches: local.patches,
    runningStatsPasses: local.runningStatsPasses,
  };
}

function fillDecoder(
  decoder: { net?: DecoderNet | undefined; widen: number } | null,
  image: NetworkConfig['image'],
): LocalConfig['decoder'] {
  if (!decoder) return null;
  const { net = defaultsFor('infopro', image).decoder!.net, widen } = decoder;
  return { net, widen };
}

/** Keys that the rule does not use have its defaults. */
export function keepWhatTheRuleUses(local: LocalConfig): LocalConfig {
  const defaults = RULES[local.rule];
  const has = (head: HeadKind): boolean => defaults.heads.includes(head);
  // A rule with one head weighs it by 1.
  const lambdaOf = (head: HeadKind): LambdaPair =>
    has(head) && defaults.heads.length > 1 ? local.lambda[head] : defaults.lambda[head];
  const on = local.patches?.on.filter(has) ?? [];
  return {
    ...local,
    hierarchy: local.rule === 'bp' ? null : local.hierarchy,
    classifier: hasClassifierNet(local.rule) ? local.classifier : unusedClassifier,
    decoder: has('decoder') ? local.decoder : null,
    lambda: { decoder: lambdaOf('decoder'), similarity: lambdaOf('similarity'), classifier: lambdaOf('classifier') },
    auglocal: local.rule === 'auglocal' ? local.auglocal : null,
    patches: local.patches && on.length > 0 ? { ...local.patches, on } : null,
    runningStatsPasses: local.rule === 'bp' ? 1 : local.runningStatsPasses,
  };
}

/** Whether `local.classifier` says what the rule's classifiers are. */
const hasClassifierNet = (rule: LocalRule): boolean => rule !== 'bp' && rule !== 'auglocal';

const unusedClassifier: LocalConfig['classifier'] = {
  net: '2c2f',
  features: 128,
  widen: 1,
  loss: 'cross-entropy',
  temperature: 0.07,
};

/** Paths below `local` that differ: its keys, and those of `lambda` where the rule has more than one head to weigh. */
export function ignoredKeys(written: LocalConfig, kept: LocalConfig): IgnoredKey[] {
  const keys = Object.keys(written) as (keyof LocalConfig)[];
  return keys
    .filter((key) => !sameJson(written[key], kept[key]))
    .flatMap((key): IgnoredKey[] => {
      if (key !== 'lambda' || RULES[kept.rule].heads.length < 2) return [key];
      const heads = Object.keys(written.lambda) as HeadKind[];
      return heads
        .filter((head) => !sameJson(written.lambda[head], kept.lambda[head]))
        .map((head): IgnoredKey => `lambda.${head}`);
    });
}
