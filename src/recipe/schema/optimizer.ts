/** Recipe key `optimizer`. */
import { z } from 'zod';
import { bool, fraction, nonNegative, object, positive, typed } from '../fields.js';

const learningRate = nonNegative();
const weightDecay = nonNegative();

export const optimizer = typed(
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
