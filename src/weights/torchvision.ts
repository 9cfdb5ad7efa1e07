/** What torchvision's ResNets and VGGs call the tensors that ours have, too. */
import type { NetworkConfig } from '../recipe/types.js';
import type { Naming } from './naming.js';

/** Stem and shortcuts are other; blocks and `fc` are called alike. */
const resnetRules: readonly (readonly [RegExp, string])[] = [
  [/^stem\.conv\./, 'conv1.'],
  [/^stem\.bn\./, 'bn1.'],
  [/^(layer\d+\.\d+\.downsample)\.conv\./, '$1.0.'],
  [/^(layer\d+\.\d+\.downsample)\.bn\./, '$1.1.'],
];

const resnet: Naming = {
  theirs: (own) => {
    const rule = resnetRules.find(([pattern]) => pattern.test(own));
    return rule ? own.replace(rule[0], rule[1]) : own;
  },
  absorbedBias: () => null,
};

/** @param own our names of the trunk's tensors, in the order of the network */
export function torchvision({ type }: NetworkConfig, own: readonly string[]): Naming {
  return type === 'vgg' ? vgg(own) : resnet;
}

/** Places of the linear layers between ReLUs and dropouts. */
const classifierPlaces: Readonly<Record<string, number>> = { fc1: 0, fc2: 3, fc3: 6 };

/**
 * `features` is one list of layers: for each block a convolution, a batch norm and a ReLU, after each stage a max pool. Its convolutions have
 * biases, ours none.
 */
function vgg(own: readonly string[]): Naming {
  const blocks = own.flatMap((name) => /^(layer\d+\.\d+)\.conv\.weight$/.exec(name)?.[1] ?? []);
  const places = new Map(blocks.map((block, before) => [block, 3 * before + stageOf(block)]));
  const theirs = (name: string): string => {
    const [, block, layer, what] = /^(layer\d+\.\d+)\.(conv|bn)\.(\w+)$/.exec(name) ?? [];
    if (block !== undefined) return `features.${places.get(block)! + (layer === 'bn' ? 1 : 0)}.${what}`;
    return name.replace(/^classifier\.(fc\d)\./, (_, linear: string) => `classifier.${classifierPlaces[linear]}.`);
  };
  return { theirs, absorbedBias: (mean) => theirs(mean.replace(/\.bn\.running_mean$/, '.conv.bias')) };
}

/** From 0. */
const stageOf = (block: string): number => Number(/^layer(\d+)/.exec(block)![1]) - 1;
