/** Recipe key `split`: the cut into local modules. */
import { z } from 'zod';
import { choice, object } from '../fields.js';

const moduleCountAllowed = 'an integer ≥ 1';
const boundariesAllowed = 'a list of block names such as "layer1.0": the last block of each module, in order';
export const split = object(
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
    balance: choice(['memory', 'time'])
      .optional()
      .describe(
        'With `modules`: cut so that the most demanding module has the least memory or time, as predicted. Default: a published split where there is one.',
      ),
  },
  '{"modules": K} or {"boundaries": [last block of each module]}',
).describe('How the trunk is cut into local modules: either `modules` or `boundaries`.');
