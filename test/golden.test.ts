/**
 * The whole method against the authors' program: one step sequence of HPFF on ResNet-32 (released settings, 4 modules), computed in double
 * precision from the same weights and batch. `golden/README.md` says what the files hold.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Batch } from '../src/data/dataset.js';
import { decodeSafetensors } from '../src/files/safetensors.js';
import type { NamedTensors } from '../src/files/tensor.js';
import { openEngine } from '../src/pipeline/index.js';
import { parseRecipe } from '../src/recipe/index.js';
import { withStatistics } from './support/statistics.js';

const path = (leaf: string): URL => new URL(`golden/hpff-resnet32-k4.${leaf}`, import.meta.url);
const tensors = (leaf: string): NamedTensors =>
  decodeSafetensors(readFileSync(path(`${leaf}.safetensors`)), leaf).tensors;

const recipe = parseRecipe(JSON.parse(readFileSync(path('recipe.json'), 'utf8')), 'golden recipe');
const expected = tensors('expected');
const weights = tensors('weights');
const batch = Object.fromEntries(tensors('batch')) as unknown as Batch;

/** ‖a - b‖ / (‖b‖ + 1e-3·‖all b‖) of every tensor with the prefix. */
function errors(prefix: string, found: NamedTensors): Map<string, number> {
  const reference = [...expected].filter(([name]) => name.startsWith(prefix));
  const floor = 1e-3 * Math.hypot(...reference.map(([, tensor]) => norm(tensor.data as Float32Array)));
  return new Map(
    reference.map(([name, tensor]) => {
      const target = tensor.data as Float32Array;
      const actual = found.get(name.slice(prefix.length))!.data as Float32Array;
      return [name, norm(actual.map((value, i) => value - target[i]!)) / (norm(target) + floor)];
    }),
  );
}

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

describe.each(['fused', 'sync'])('HPFF as the authors run it, schedule %s', (schedule) => {
  test('gradients, losses and parameters after 3 steps agree', async () => {
    const { engine, manifest, dispose } = await openEngine(recipe, { schedule, batch: 8, gradients: true, threads: 2 });
    try {
      engine.load(withStatistics(manifest, weights));
      const finals: number[] = [];
      const first = await engine.stepWithGradients(batch, 0.01, 1);
      finals.push(first.report.losses.get('3/final/classifier')!);
      for (const step of [2, 3]) {
        finals.push((await engine.step(batch, 0.01, step)).losses.get('3/final/classifier')!);
      }

      const gradientNames = [...expected.keys()].filter((name) => name.startsWith('grad/'));
      expect([...first.gradients.keys()].map((name) => `grad/${name}`).sort()).toEqual(gradientNames.sort());
      for (const [name, error] of errors('grad/', first.gradients)) expect(error, name).toBeLessThan(1e-4);
      for (const [name, error] of errors('param/', engine.readWeights())) expect(error, name).toBeLessThan(1e-3);
      expect(finals[0]).toBeCloseTo(2.8171559910093027, 5);
      expect(finals[1]).toBeCloseTo(2.03028825568302, 5);
      expect(finals[2]).toBeCloseTo(1.6809920562564966, 3);
    } finally {
      dispose();
    }
  });
});
