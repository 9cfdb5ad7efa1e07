/** Collecting garbage on demand. */
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { collectGarbage } from './process-memory.js';

test('garbage is collected at once, and the collector stays out of reach', async () => {
  const before = Object.hasOwn(globalThis, 'gc');
  const garbage = new WeakRef({ a: 'new object' });
  const kept = { a: 'new object' };
  const reference = new WeakRef(kept);
  // What a weak reference gave stays until the turn is over.
  await setImmediate();
  collectGarbage();
  expect(garbage.deref()).toBeUndefined();
  expect(reference.deref()).toBe(kept);
  expect(Object.hasOwn(globalThis, 'gc')).toBe(before);
});
