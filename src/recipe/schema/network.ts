/** Recipe key `network`: the trunk. */
import { z } from 'zod';
import { integer, object, typed } from '../fields.js';
import { imagenetDepths, vggDepths } from '../network-stages.js';

const width = integer(1, 4096);
const widthsAllowed = 'a list of 4 integers: channels of the stem and of the three stages';
const cifarDepthAllowed = 'an integer 6n+2 from 8 to 1202';
const imageAllowed = 'a list of 3 integers: channels, height and width';

const classes = integer(2, 65536);

/** @param side the shortest that the network can work on */
const image = (side: number) =>
  z
    .tuple([integer(1, 256), integer(side, 4096), integer(side, 4096)], { error: imageAllowed })
    .describe('Channels, height and width of the images that the network takes.');

/** A number out of a list. */
function oneOf<const T extends readonly [number, ...number[]]>(values: T) {
  return z.literal(values, { error: `${values.slice(0, -1).join(', ')} or ${values.at(-1)}` });
}

const baseWidth = integer(1, 1024)
  .default(64)
  .describe('Channels of the first stage, from which those of the others follow; less than 64 for small experiments.');

const cifarResnet = object({
  type: z.literal('cifar-resnet'),
  depth: z
    .int({ error: cifarDepthAllowed })
    .min(8, { error: cifarDepthAllowed })
    .max(1202, { error: cifarDepthAllowed })
    .refine((depth) => depth % 6 === 2, { error: cifarDepthAllowed })
    .describe('Number of layers with weights, 6n+2: three stages of n blocks with two convolutions each.'),
  widths: z
    .tuple([width, width, width, width], { error: widthsAllowed })
    .default([16, 16, 32, 64])
    .describe('Channels of the stem and of the three stages.'),
  classes,
  image: image(4),
});

const imagenetResnet = object({
  type: z.literal('imagenet-resnet'),
  depth: oneOf(imagenetDepths).describe(
    'Number of layers with weights: basic blocks up to 34, bottlenecks from 50 on.',
  ),
  groups: integer(1, 1024)
    .default(1)
    .describe('Groups of the 3×3 convolutions in bottlenecks. ResNeXt-50 32×4d: depth 50, groups 32, widthPerGroup 4.'),
  widthPerGroup: integer(1, 1024)
    .default(64)
    .describe(
      'Channels of a group in the first stage, at width 64. ResNeXt-101 32×8d: depth 101, groups 32, widthPerGroup 8.',
    ),
  width: baseWidth,
  classes,
  image: image(32),
});

const hiddenAllowed = 'an integer from 1 to 65536, or null';
const vgg = object({
  type: z.literal('vgg'),
  depth: oneOf(vggDepths).describe(
    'Number of layers with weights, as the network is called; all convolutions have batch norm.',
  ),
  width: baseWidth,
  hidden: z
    .int({ error: hiddenAllowed })
    .min(1, { error: hiddenAllowed })
    .max(65536, { error: hiddenAllowed })
    .nullable()
    .optional()
    .describe(
      'Width of the two hidden linear layers behind a pool to 7×7. null: a global average pool and one linear layer. ' +
        'Default: 4096 for images of 224 pixels and more, otherwise null.',
    ),
  classes,
  image: image(32),
});

export const network = typed(['cifar-resnet', 'imagenet-resnet', 'vgg'], [cifarResnet, imagenetResnet, vgg]).describe(
  'The trunk: the network that is trained, exported and used.',
);
