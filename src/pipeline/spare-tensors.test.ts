/** Spare tensors: used again by what needs their shape, and freed in the end. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { SpareTensors } from './spare-tensors.js';

let runtime: Runtime;
beforeEach(async () => {
  runtime = await createNativeRuntime({ threads: 1 });
});
afterEach(() => runtime.dispose());

test('a tensor is taken by whoever needs its shape next', () => {
  const spares = new SpareTensors(runtime);
  const first = spares.take([2, 3]);
  const second = spares.take([2, 3]);
  expect(first).toMatchObject({ dtype: 'float32', shape: [2, 3] });
  expect(second).not.toBe(first);
  spares.give(first);
  const other = spares.take([3, 2]);
  expect(other).not.toBe(first);
  expect(spares.take([2, 3])).toBe(first);
  for (const tensor of [first, second, other]) tensor.dispose();
});

test('those that are here are freed, those that are taken are not', () => {
  const spares = new SpareTensors(runtime);
  const [taken, given] = [spares.take([]), spares.take([])];
  spares.give(given);
  spares.dispose();
  expect([taken.disposed, given.disposed]).toEqual([false, true]);
  taken.dispose();
});
