/** Recipe key `schedule`: the learning rate over the epochs. */
import { z } from 'zod';
import { integer, object, positive, typed } from '../fields.js';

const epochs = integer(1, 1_000_000);
const warmupEpochs = integer(0, 1_000_000)
  .default(0)
  .describe('Epochs at the start in which the learning rate rises to its full value.');
const milestonesAllowed = 'a list of integers ≥ 1, rising';

export const schedule = typed(
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
