/**
 * The whole method against the authors' program: one step sequence of HPFF on ResNet-32 (released settings, 4 modules), computed in double
 * precision from the same weights and batch. `golden/README.md` says what the files hold.
 */
import { describe, expect, test } from 'vitest';
import type { NamedTensors } from '../src/files/tensor.js';
import { buildStep } from '../src/local/index.js';
import { batchFrom, trainOnBatch } from '../src/pipeline/index.js';
import { goldenRecipe, goldenTensors } from './support/golden.js';
import { tiesWithPortable } from './support/relu-ties.js';

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

/**
 * Modules whose gradients a ReLU changes whose input lies within rounding of zero, so that the lowering may turn it over: which are there depends on the
 * kernels of this CPU. It is on the way of its own module's gradients, and of the relay to the module below.
 */
async function modulesWithTies(choice: string): Promise<Set<number>> {
  const values = new Map([...weights, ['image', batch.image], ['label', batch.label]]);
  const relus = await tiesWithPortable(goldenRecipe, values, choice);
  const tied = relus.map(({ name }) => Number.parseInt(name, 10));
  return new Set(tied.flatMap((module) => (module === 0 ? [0] : [module - 1, module])));
}

const { modules } = buildStep(goldenRecipe, goldenRecipe.data.batch);

/** Index of the module that a gradient or parameter belongs to. */
function moduleOf(name: string): number {
  const parameter = name.replace(/^\w+\//, '');
  return modules.findIndex(({ parameters, headParameters }) => [...parameters, ...headParameters].includes(parameter));
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
    // One unit of so few images matters, as noise of 1e-6 in the images does; all other modules are as exact as ever.
    const ties = await modulesWithTies(lowering);
    for (const [name, error] of errors('grad/', found)) {
      expect(error, name).toBeLessThan(ties.has(moduleOf(name)) ? 2e-2 : 1e-4);
    }
    expect(median([...errors('grad/', found).values()])).toBeLessThan(1e-5);
    // Later steps have ties of their own.
    const loose = ties.size > 0 ? 10 : 1;
    for (const [name, error] of errors('param/', found)) expect(error, name).toBeLessThan(loose * 1e-3);
    expect(median([...errors('param/', found).values()])).toBeLessThan(1e-4);
    const final = found.get('loss/3/final/classifier')!.data as Float32Array;
    [2.8171559910093027, 2.03028825568302, 1.6809920562564966].forEach((loss, step) =>
      expect(Math.abs(final[step]! - loss)).toBeLessThan(loose * [5e-6, 5e-6, 5e-4][step]!),
    );
  });
});
