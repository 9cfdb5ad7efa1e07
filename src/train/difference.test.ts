import { expect, test } from 'vitest';
import { firstDifference } from './difference.js';

test.each([
  [
    { a: 1, b: { c: [1, 2] } },
    { a: 1, b: { c: [1, 3] } },
    { path: 'b.c', before: '[1,2]', now: '[1,3]' },
  ],
  [{ a: { b: null } }, { a: { b: { c: 1 } } }, { path: 'a.b', before: 'null', now: '{"c":1}' }],
  [{ a: 1 }, { a: 1, b: 'x' }, { path: 'b', before: 'nothing', now: '"x"' }],
  [{ a: 1, b: 2 }, { b: 2 }, { path: 'a', before: '1', now: 'nothing' }],
])('%j and %j differ at %j', (before, now, difference) => {
  expect(firstDifference(before, now)).toEqual(difference);
});
