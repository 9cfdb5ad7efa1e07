/** Recipe key `local`: the local rule, its heads, HiLo and PFF. */
import { z } from 'zod';
import { choice, integer, nonNegative, object, objectOrNull, positive } from '../fields.js';

const lambdaAllowed = 'a list of 2 numbers ≥ 0: loss weight at the first and at the last module';
const lambdaPair = z
  .tuple([nonNegative(), nonNegative()], { error: lambdaAllowed })
  .describe('Loss weight at the first and at the last module; linear between them.');

export const localRuleNames = ['bp', 'dgl', 'infopro', 'predsim', 'auglocal'] as const;

const coefficientAllowed = 'a number from 0 to 1';
const headsOnPatches = ['decoder', 'classifier', 'similarity'] as const;
const patchesOnAllowed = 'a list of one or more of "decoder", "classifier" and "similarity"';
export const local = object({
  rule: choice(localRuleNames).describe('Local rule: which heads and losses a module has.'),
  hierarchy: objectOrNull({ independent: nonNegative(), cascade: nonNegative() })
    .default(null)
    .describe('HiLo: weights of the independent and of the cascade loss. null: no HiLo.'),
  classifier: object({
    net: choice(['0c1f', '0c2f', '1c1f', '1c2f', '1c3f', '2c2f', 'dgl', 'imagenet'])
      .optional()
      .describe(
        'Network of the classifier heads. Default: "dgl" for rule dgl, "0c1f" for predsim, otherwise "2c2f", for images of 128 pixels and more "imagenet".',
      ),
    features: integer(1, 65536).default(128).describe('Width of the hidden linear layers.'),
    widen: integer(1, 256).default(1).describe('Multiplies the channels of the convolutions.'),
    loss: choice(['cross-entropy', 'contrastive']).default('cross-entropy'),
    temperature: positive().default(0.07).describe('Temperature of the contrastive loss.'),
  }).prefault({}),
  decoder: objectOrNull({
    net: choice(['cifar', 'imagenet'])
      .optional()
      .describe(
        '"cifar": to the size of the image at once, then two convolutions. "imagenet": in doublings, a convolution after each; the default for images of 128 pixels and more.',
      ),
    widen: integer(1, 256).default(1).describe('Multiplies the channels of the convolutions.'),
  })
    .optional()
    .describe('Decoder heads, which rebuild the image; only rule infopro has them.'),
  lambda: object({
    decoder: lambdaPair.optional(),
    classifier: lambdaPair.optional(),
    similarity: lambdaPair.optional(),
  })
    .prefault({})
    .describe(
      'Loss weights of the heads. Default of rule infopro: decoder [5, 0], classifier [0.5, 0]; of predsim: similarity [0.99, 0.99], classifier [0.01, 0.01].',
    ),
  auglocal: objectOrNull({
    depth: integer(1, 1000).default(3).describe('Blocks in the head of the first module.'),
    coefficient: z
      .number({ error: coefficientAllowed })
      .min(0, { error: coefficientAllowed })
      .max(1, { error: coefficientAllowed })
      .default(0.5)
      .describe('How far the depth falls towards the last module: 0 not at all, 1 to a single block.'),
  })
    .optional()
    .describe('Heads of rule auglocal, made of blocks like those of the network.'),
  patches: objectOrNull({
    grid: integer(2, 64).describe('n: heads work on an n × n grid of patches.'),
    on: z
      .array(choice(headsOnPatches), { error: patchesOnAllowed })
      .min(1, { error: patchesOnAllowed })
      .refine((heads) => new Set(heads).size === heads.length, { error: patchesOnAllowed })
      .describe('Heads that work on patches.'),
    weights: choice(['separate', 'shared']).describe('One head for each patch, or one head for all.'),
    fuse: choice(['sum', 'mean']).describe('"sum" of the losses of the patches, or "mean" of their outputs.'),
  })
    .default(null)
    .describe('PFF: heads on patches. null: heads see the whole map.'),
  runningStatsPasses: integer(1, 100)
    .default(1)
    .describe('How often the running statistics of interior modules advance in a step.'),
});
