import { expect, test } from 'vitest';
import { SpareBuffers } from './spare-buffers.js';

test('memory of one size is used again, one owner at a time', () => {
  const spares = new SpareBuffers();
  const first = spares.take(16);
  expect(spares.take(16)).not.toBe(first);
  spares.give(first);
  expect(spares.take(8)).not.toBe(first);
  expect(spares.take(16)).toBe(first);
  expect(spares.take(16)).not.toBe(first);
});
