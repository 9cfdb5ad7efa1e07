/**
 * The shape of a recipe file, key by key. What depends on several keys at once (defaults by rule, lengths by image) stands
 * in normalise.ts and consistency.ts.
 */
import { z } from 'zod';
import { bool, choice, fraction, integer, nonNegative, object, objectOrNull, positive, typed } from './fields.js';

const NAME_LENGTH = 200;
const nameAllowed = `a text of 1 to ${NAME_LENGTH} visible characters`;
const name = z
  .string({ error: nameAllowed })
  .max(NAME_LENGTH, { error: nameAllowed })
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u, { error: nameAllowed })
  .describe('Name of the recipe, for reports. Default: the name of its file.');

const width = integer(1, 4096);
const widthsAllowed = 'a list of 4 integers: channels of the stem and of the three stages';
const depthAllowed = 'an integer 6n+2 from 8 to 1202';
const imageAllowed = 'a list of 3 integers: channels, height and width';

const network = typed(
  ['cifar-resnet'],
  [
    object({
      type: z.literal('cifar-resnet'),
      depth: z
        .int({ error: depthAllowed })
        .min(8, { error: depthAllowed })
        .max(1202, { error: depthAllowed })
        .refine((depth) => depth % 6 === 2, { error: depthAllowed })
        .describe('Number of layers with weights, 6n+2: three stages of n blocks with two convolutions each.'),
      widths: z
        .tuple([width, width, width, width], { error: widthsAllowed })
        .default([16, 16, 32, 64])
        .describe('Channels of the stem and of the three stages.'),
      classes: integer(2, 65536),
      image: z
        .tuple([integer(1, 256), integer(4, 4096), integer(4, 4096)], { error: imageAllowed })
        .describe('Channels, height and width of the images that the network takes.'),
    }),
  ],
).describe('The trunk: the network that is trained, exported and used.');

const moduleCountAllowed = 'an integer ≥ 1';
const boundariesAllowed = 'a list of block names such as "layer1.0": the last block of each module, in order';
const split = object(
  {
    modules: z
      .int({ error: moduleCountAllowed })
      .min(1, { error: moduleCountAllowed })
      .optional()
      .describe('Number of local modules.'),
    boundaries: z
      .array(z.string({ error: 'a block name such as "layer1.0"' }), { error: boundariesAllowed })
      .min(1, { error: boundariesAllowed })
      .optional()
      .describe('Last block of each local module, in order; the last is the last block of the network.'),
  },
  '{"modules": K} or {"boundaries": [last block of each module]}',
).describe('How the trunk is cut into local modules: either `modules` or `boundaries`.');

const lambdaAllowed = 'a list of 2 numbers ≥ 0: loss weight at the first and at the last module';
const lambdaPair = z
  .tuple([nonNegative(), nonNegative()], { error: lambdaAllowed })
  .describe('Loss weight at the first and at the last module; linear between them.');

const patchesOnAllowed = 'a list of "decoder", "classifier" or both';
const local = object({
  rule: choice(['bp', 'dgl', 'infopro']).describe('Local rule: which heads and losses a module has.'),
  hierarchy: objectOrNull({ independent: nonNegative(), cascade: nonNegative() })
    .default(null)
    .describe('HiLo: weights of the independent and of the cascade loss. null: no HiLo.'),
  classifier: object({
    net: choice(['0c1f', '0c2f', '1c1f', '1c2f', '1c3f', '2c2f', 'dgl'])
      .optional()
      .describe('Network of the classifier heads. Default: "dgl" for rule dgl, otherwise "2c2f".'),
    features: integer(1, 65536).default(128).describe('Width of the hidden linear layers.'),
    widen: integer(1, 256).default(1).describe('Multiplies the channels of the convolutions.'),
    loss: choice(['cross-entropy', 'contrastive']).default('cross-entropy'),
    temperature: positive().default(0.07).describe('Temperature of the contrastive loss.'),
  }).prefault({}),
  decoder: objectOrNull({ widen: integer(1, 256).default(1).describe('Multiplies the channels of the convolutions.') })
    .optional()
    .describe('Decoder heads, which rebuild the image; only rule infopro has them.'),
  lambda: object({ decoder: lambdaPair.optional(), classifier: lambdaPair.optional() })
    .prefault({})
    .describe('Loss weights of the heads. Default of rule infopro: decoder [5, 0], classifier [0.5, 0].'),
  patches: objectOrNull({
    grid: integer(2, 64).describe('n: heads work on an n × n grid of patches.'),
    on: z
      .array(choice(['decoder', 'classifier']), { error: patchesOnAllowed })
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

const learningRate = nonNegative();
const weightDecay = nonNegative();

const optimizer = typed(
  ['sgd', 'adamw'],
  [
    object({
      type: z.literal('sgd'),
      learningRate,
      momentum: fraction().default(0.9),
      nesterov: bool().default(true),
      weightDecay: weightDecay.default(1e-4),
    }),
    object({
      type: z.literal('adamw'),
      learningRate,
      beta1: fraction().default(0.9),
      beta2: fraction().default(0.999),
      epsilon: positive().default(1e-8),
      weightDecay: weightDecay.default(0.01),
    }),
  ],
);

const epochs = integer(1, 1_000_000);
const warmupEpochs = integer(0, 1_000_000)
  .default(0)
  .describe('Epochs at the start in which the learning rate rises to its full value.');
const milestonesAllowed = 'a list of integers ≥ 1, rising';

const schedule = typed(
  ['constant', 'cosine', 'step'],
  [
    object({ type: z.literal('constant'), epochs, warmupEpochs }),
    object({ type: z.literal('cosine'), epochs, warmupEpochs }),
    object({
      type: z.literal('step'),
      epochs,
      warmupEpochs,
      milestones: z
        .array(integer(1, 1_000_000), { error: milestonesAllowed })
        .refine((list) => list.every((epoch, i) => i === 0 || epoch > (list[i - 1] ?? 0)), { error: milestonesAllowed })
        .describe('Epochs, counted from 1, after which the learning rate is multiplied by gamma.'),
      gamma: positive().default(0.1),
    }),
  ],
).describe('Learning rate over the epochs.');

const meanAllowed = 'a number from 0 to 1 (pixel values are scaled to [0, 1])';
const stdAllowed = 'a number > 0 and ≤ 1 (pixel values are scaled to [0, 1])';
const perChannel = (element: z.ZodNumber, what: string) => {
  const allowed = `a list of numbers: the ${what} of each channel, or one for all channels`;
  return z.array(element, { error: allowed }).min(1, { error: allowed });
};

export const datasetNames = ['digits', 'fashion-mnist', 'mnist', 'cifar10', 'cifar100'] as const;

const padAllowed = 'a list of 2 integers (height and width), or null';
const data = object({
  dataset: choice(datasetNames),
  batch: integer(1, 65536).describe('Images per optimizer step.'),
  normalize: object({
    mean: perChannel(
      z.number({ error: meanAllowed }).min(0, { error: meanAllowed }).max(1, { error: meanAllowed }),
      'mean',
    ),
    std: perChannel(
      z.number({ error: stdAllowed }).gt(0, { error: stdAllowed }).max(1, { error: stdAllowed }),
      'standard deviation',
    ),
  })
    .default({ mean: [0], std: [1] })
    .describe('(pixel - mean) / std, of pixel values in [0, 1]. Default: pixel values as they are.'),
  augment: objectOrNull({
    crop: objectOrNull({
      pad: integer(1, 1024).describe('Pixels added on every side before a random crop to the old size.'),
      mode: choice(['zero', 'reflect']).default('zero'),
    }).default(null),
    flip: bool().default(false).describe('Mirror every second image, at random, left to right.'),
  })
    .default(null)
    .describe('Random changes of the training images. Default: none.'),
  convert: objectOrNull({
    channels: z
      .int({ error: 'an integer ≥ 1 or null' })
      .min(1, { error: 'an integer ≥ 1 or null' })
      .nullable()
      .default(null)
      .describe('Repeat grey images to this number of channels.'),
    pad: z
      .tuple([z.int({ error: padAllowed }), z.int({ error: padAllowed })], { error: padAllowed })
      .nullable()
      .default(null)
      .describe('Pad images with zeros, centred, to this height and width.'),
  })
    .default(null)
    .describe('How stored images become those that the network takes. Default: as they are.'),
});

/** The recipe file. Keys that the user may leave out are filled in, but for those whose default depends on others. */
export const recipeSchema = object({
  $schema: z.string({ error: 'the address of a JSON Schema' }).optional(),
  name: name.optional(),
  network,
  split: split.optional(),
  local,
  optimizer,
  schedule,
  data,
  seed: integer(0, 2 ** 32 - 1)
    .default(0)
    .describe('Seeds the initial weights, the order of the images and their augmentation.'),
});

/** A recipe of the right shape, before the defaults that depend on other keys. */
export type RecipeShape = z.output<typeof recipeSchema>;

/** The JSON Schema of recipe files, for editors. It cannot say all that is checked, but refuses nothing that is valid. */
export function recipeJsonSchema(): object {
  const schema = z.toJSONSchema(recipeSchema, { target: 'draft-7', io: 'input' });
  return { $schema: schema.$schema, title: 'hpff recipe', ...schema };
}
