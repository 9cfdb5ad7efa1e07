/** Factors of the learning rate by module. */
import { expect, test } from 'vitest';
import { InputError } from '../errors.js';
import { moduleFactors } from './learning-rates.js';

test.each([
  [undefined, 3, [1, 1, 1], [1, 1, 1]],
  [{ heads: 0.5 }, 2, [1, 1], [0.5, 0.5]],
  [{ modules: [1, 0.5, 2], heads: 0.5 }, 3, [1, 0.5, 2], [0.5, 0.25, 1]],
  [{ modules: { first: 1, last: 2 } }, 3, [1, 1.5, 2], [1, 1.5, 2]],
  [{ modules: { first: 0.3, last: 2 } }, 1, [0.3], [0.3]],
])('%j of %d modules', (factors, count, trunk, heads) => {
  const found = moduleFactors(factors, count);
  expect(found.map((each) => each.trunk)).toEqual(trunk);
  expect(found.map((each) => each.heads)).toEqual(heads);
});

test('a list has a factor for each module', () => {
  const refuse = (): unknown => moduleFactors({ modules: [1, 2] }, 4);
  expect(refuse).toThrow(InputError);
  expect(refuse).toThrow('found a list of 2, allowed: a list of 4, a number for each module');
});
