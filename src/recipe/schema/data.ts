/** Recipe key `data`: the images, and what is done to them. */
import { z } from 'zod';
import { bool, choice, integer, object, objectOrNull } from '../fields.js';

const meanAllowed = 'a number from 0 to 1 (pixel values are scaled to [0, 1])';
const stdAllowed = 'a number > 0 and ≤ 1 (pixel values are scaled to [0, 1])';
const perChannel = (element: z.ZodNumber, what: string) => {
  const allowed = `a list of numbers: the ${what} of each channel, or one for all channels`;
  return z.array(element, { error: allowed }).min(1, { error: allowed });
};

/** Data sets of encoded images of any size. */
export const encodedDatasetNames = ['image-folder', 'parquet'] as const;

export const datasetNames = [
  'digits',
  'fashion-mnist',
  'mnist',
  'cifar10',
  'cifar100',
  'svhn',
  'stl10',
  ...encodedDatasetNames,
] as const;

/** Two numbers > 0, the first not above the second. */
const bounds = (what: string, most = Infinity) => {
  const allowed = `a list of 2 numbers > 0${most === Infinity ? '' : ` and ≤ ${most}`}, rising: ${what}`;
  const bound = z.number({ error: allowed }).gt(0, { error: allowed }).max(most, { error: allowed });
  return z
    .tuple([bound, bound], { error: allowed })
    .refine(([least, greatest]) => least <= greatest, { error: allowed });
};

const columnAllowed = 'the name of a column';
const column = () => z.string({ error: columnAllowed }).min(1, { error: columnAllowed });

const padAllowed = 'a list of 2 integers (height and width), or null';
export const data = object({
  dataset: choice(datasetNames),
  batch: integer(1, 65536).describe('Images per optimizer step.'),
  trainImages: integer(1, 2 ** 31 - 1)
    .optional()
    .describe('Train on so many images of the data set, the same whatever the seed; tests use all. Default: all.'),
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
    resizedCrop: objectOrNull({
      scale: bounds('bounds of its share of the area', 1).default([0.08, 1]),
      ratio: bounds('bounds of its width over its height').default([3 / 4, 4 / 3]),
    })
      .default(null)
      .describe(
        'Resize a random part of each image to the size that the network takes. Image-folder and parquet only.',
      ),
    crop: objectOrNull({
      pad: integer(1, 1024).describe('Pixels added on every side before a random crop to the old size.'),
      mode: choice(['zero', 'reflect']).default('zero'),
    }).default(null),
    flip: bool().default(false).describe('Mirror every second image, at random, left to right.'),
  })
    .default(null)
    .describe('Random changes of the training images. Default: none.'),
  resize: integer(4, 4096)
    .nullable()
    .default(null)
    .describe(
      'Pixels to resize the shorter side of images to, before the centre is cut out. Image-folder and parquet only; default: 256 for a ' +
        'network of 224, and in that proportion.',
    ),
  columns: objectOrNull({
    image: column().default('image').describe('Images: bytes, or a group with "bytes" in it.'),
    label: column().default('label').describe('Classes, from 0.'),
  })
    .default(null)
    .describe('Names of columns, for data set "parquet". Default: "image" and "label".'),
  convert: objectOrNull({
    shrink: integer(1, 64)
      .optional()
      .describe('Average each cell of this many pixels squared into one, before anything else. Default: 1.'),
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
