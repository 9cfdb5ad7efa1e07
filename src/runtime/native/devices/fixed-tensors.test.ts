import { expect, it } from 'vitest';
import { UsageError } from '../../../errors.js';
import { FixedTensors } from './fixed-tensors.js';

const [a, b, c] = [{}, {}, {}];

it('lets the tensors of the first run come again', () => {
  const fixed = new FixedTensors('step');
  for (let run = 0; run < 3; run++) expect(() => fixed.check([a, b], [c])).not.toThrow();
});

it.each([
  [[a, c], [c]],
  [[a, b], [a]],
  [[a, b, c], []],
  [[a], [b, c]],
])('refuses others: feeds %#', (feeds, targets) => {
  const fixed = new FixedTensors('step');
  fixed.check([a, b], [c]);
  expect(() => fixed.check(feeds, targets)).toThrow(
    new UsageError(
      'CUDA_GRAPH',
      `session 'step': its recorded run cannot be replayed: a feed or an output is another tensor than in the first run`,
    ),
  );
});

it('refuses outputs that would be new tensors', () => {
  expect(() => new FixedTensors('step').check([a], [b, undefined])).toThrow(
    'an output has no tensor to be written into',
  );
});
