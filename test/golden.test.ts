/**
 * The whole method against the authors' program: one step sequence of HPFF on ResNet-32 (released settings, 4 modules), computed in double
 * precision from the same weights and batch. `golden/README.md` says what the files hold.
 */
import { describe, expect, test } from 'vitest';
import type { NamedTensors } from '../src/files/tensor.js';
import { batchFrom, trainOnBatch } from '../src/pipeline/index.js';
import { goldenRecipe, goldenTensors } from './support/golden.js';

const expected = goldenTensors('expected');
const weights = goldenTensors('weights');
const batch = batchFrom(goldenTensors('batch'), goldenRecipe, 'golden batch');

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/** ‖a - b‖ / (‖b‖ + 1e-3·‖all b‖) of every tensor with the prefix. */
function errors(prefix: string, found: NamedTensors): Map<string, number> {
  const reference = [...expected].filter(([name]) => name.startsWith(prefix));
  const floor = 1e-3 * Math.hypot(...reference.map(([, tensor]) => norm(tensor.data as Float32Array)));
  return new Map(
    reference.map(([name, tensor]) => {
      const target = tensor.data as Float32Array;
      const actual = found.get(name)!.data as Float32Array;
      return [name, norm(actual.map((value, i) => value - target[i]!)) / (norm(target) + floor)];
    }),
  );
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;

describe.each([
  ['fused', 'portable'],
  ['sync', 'portable'],
  ['fused', 'auto'],
  ['sync', 'auto'],
])('HPFF as the authors run it, schedule %s, lowering %s', (schedule, lowering) => {
  test('gradients, losses and parameters after 3 steps agree', async () => {
    const options = { steps: 3, schedule, lowering, threads: 2 };
    const found = await trainOnBatch(goldenRecipe, weights, batch, options, { weights: 'golden weights' });

    const names = (tensors: NamedTensors): string[] => [...tensors.keys()].filter((name) => !name.startsWith('loss/'));
    expect(names(found).sort()).toEqual(names(expected).sort());
    for (const [name, error] of errors('grad/', found)) expect(error, name).toBeLessThan(1e-4);
    // A ReLU whose input lies within rounding of zero, of which this batch has some, moves the stem by more than that once it turns over.
    for (const [name, error] of errors('param/', found)) expect(error, name).toBeLessThan(1e-3);
    expect(median([...errors('param/', found).values()])).toBeLessThan(1e-4);
    const final = found.get('loss/3/final/classifier')!.data as Float32Array;
    expect(final[0]).toBeCloseTo(2.8171559910093027, 5);
    expect(final[1]).toBeCloseTo(2.03028825568302, 5);
    expect(final[2]).toBeCloseTo(1.6809920562564966, 3);
  });
});
