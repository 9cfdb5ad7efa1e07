/** Recipe key `network`: the trunk. */
import { z } from 'zod';
import { integer, object, typed } from '../fields.js';

const width = integer(1, 4096);
const widthsAllowed = 'a list of 4 integers: channels of the stem and of the three stages';
const depthAllowed = 'an integer 6n+2 from 8 to 1202';
const imageAllowed = 'a list of 3 integers: channels, height and width';

export const network = typed(
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
