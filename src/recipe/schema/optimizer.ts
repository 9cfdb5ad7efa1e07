/** Recipe key `optimizer`. */
import { z } from 'zod';
import { bool, fraction, nonNegative, object, objectOrNull, positive, typed } from '../fields.js';

const learningRate = nonNegative();
const weightDecay = nonNegative();

const clipAllowed = 'a number > 0 or null';
const factorsAllowed =
  'a list of numbers ≥ 0, one for each module, or {"first": a, "last": b} (numbers ≥ 0, linear between them)';
const microBatchAllowed = 'an integer from 1 to 65536 or null';

/** What every optimizer has. */
const common = {
  clipNorm: z
    .number({ error: clipAllowed })
    .gt(0, { error: clipAllowed })
    .nullish()
    .describe(
      'Gradients that are longer are shortened to this L2 norm: those of a module together, and those of each head. Default: as they are.',
    ),
  decayVectors: bool()
    .optional()
    .describe(
      'Whether weightDecay is on vectors too: biases, and scale and shift of batch norm. Default: true, as in the paper.',
    ),
  ema: objectOrNull({
    decay: fraction().describe('Share of the average that stays in a step.'),
    warmup: bool().default(true).describe('Begin with smaller decays: of the n-th step min(decay, n / (n + 9)).'),
  })
    .optional()
    .describe('Exponential moving average of the weights, which is what is evaluated and exported. Default: none.'),
  learningRateFactors: objectOrNull({
    modules: z
      .union(
        [
          z.array(nonNegative(), { error: factorsAllowed }),
          object({ first: nonNegative(), last: nonNegative() }, factorsAllowed),
        ],
        { error: factorsAllowed },
      )
      .optional()
      .describe('Of each module and its heads.'),
    heads: nonNegative().optional().describe('Of all heads, besides.'),
  })
    .optional()
    .describe('Factors of the learning rate. Default: 1.'),
  microBatch: z
    .int({ error: microBatchAllowed })
    .min(1, { error: microBatchAllowed })
    .max(65536, { error: microBatchAllowed })
    .nullish()
    .describe(
      'Images that are run at once, a divisor of data.batch: gradients are averaged over the micro-batches of a step. Batch norm sees one micro-batch at a time. Default: the whole batch.',
    ),
};

export const optimizer = typed(
  ['sgd', 'adamw'],
  [
    object({
      type: z.literal('sgd'),
      learningRate,
      momentum: fraction().default(0.9),
      nesterov: bool().default(true),
      weightDecay: weightDecay.default(1e-4),
      ...common,
    }),
    object({
      type: z.literal('adamw'),
      learningRate,
      beta1: fraction().default(0.9),
      beta2: fraction().default(0.999),
      epsilon: positive().default(1e-8),
      weightDecay: weightDecay.default(0.01),
      ...common,
    }),
  ],
);
