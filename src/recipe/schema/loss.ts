/** Recipe key `loss`: what all cross-entropies have in common. */
import { fraction, object } from '../fields.js';

export const loss = object({
  labelSmoothing: fraction()
    .default(0)
    .describe(
      'ε of label smoothing: a label stands for (1-ε)·one-hot + ε/classes, in the cross-entropies of the network and of its heads. Evaluation is not smoothed.',
    ),
}).describe('What all cross-entropies have in common.');
