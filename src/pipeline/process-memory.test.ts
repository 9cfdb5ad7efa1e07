/** Collecting garbage on demand; how much memory the process takes. */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { collectGarbage, collectYoungGarbage, residentMemory } from './process-memory.js';

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

test('resident memory grows by what is touched, and the peak stays', () => {
  const size = 64 << 20;
  const before = residentMemory();
  const touched = Buffer.alloc(size, 1);
  const after = residentMemory();
  expect(after.now - before.now).toBeGreaterThan(0.9 * size);
  expect(after.peak).toBeGreaterThanOrEqual(after.now);
  expect(touched[size - 1]).toBe(1);
});

test('buffers that were made lately are collected', async () => {
  const made: number[] = [];
  for (let round = 0; round < 10; round++) {
    const { arrayBuffers: before } = process.memoryUsage();
    makeBuffers();
    made.push(process.memoryUsage().arrayBuffers - before);
    collectYoungGarbage();
    // Their memory is given back on another thread.
    await setTimeout(10);
  }
  const { arrayBuffers: before } = process.memoryUsage();
  expect(Math.min(...made)).toBeGreaterThanOrEqual(8 << 20);
  makeBuffers();
  collectYoungGarbage();
  await expect.poll(() => process.memoryUsage().arrayBuffers - before).toBeLessThan(2 << 20);
});

function makeBuffers(): void {
  for (let i = 0; i < 8; i++) new Uint8Array(1 << 20).fill(i);
}
