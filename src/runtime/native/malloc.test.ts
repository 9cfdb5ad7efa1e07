/** What the C library does with memory that is freed. */
import koffi from 'koffi';
import { expect, test } from 'vitest';
import { returnLargeBlocks } from './malloc.js';

/** glibc, or null where the C library is another one. */
const library = (() => {
  try {
    return process.platform === 'linux' ? koffi.load('libc.so.6') : null;
  } catch {
    return null;
  }
})();

test.skipIf(library === null)('blocks that are freed go back, though larger ones have been freed before', () => {
  const malloc = library!.func('void *malloc(size_t size)') as (size: number) => unknown;
  const free = library!.func('void free(void *block)') as (block: unknown) => void;
  const memset = library!.func('void *memset(void *block, int value, size_t size)') as (...args: unknown[]) => void;
  returnLargeBlocks();
  free(malloc(30 << 20));
  const sizes = Array.from({ length: 8 }, () => 8 << 20);
  const blocks = sizes.map((size) => {
    const block = malloc(size);
    memset(block, 1, size);
    return block;
  });
  const above = malloc(1 << 19);
  const before = process.memoryUsage.rss();
  blocks.forEach(free);
  expect(before - process.memoryUsage.rss()).toBeGreaterThan(60 << 20);
  free(above);
});
