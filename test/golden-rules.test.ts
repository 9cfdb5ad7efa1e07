/**
 * One golden step for each local rule with HiLo and PFF, from a float64 program of its own (`tools/golden`), which runs every pass of HiLo as it is
 * defined: losses, gradients, and parameters after two optimizer steps. `golden/README.md` says what the files hold.
 */
import { readdirSync, readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web/wasm';
import { describe, expect, test } from 'vitest';
import { checkWeights } from '../src/artifacts/index.js';
import { decodeSafetensors } from '../src/files/safetensors.js';
import type { NamedTensors } from '../src/files/tensor.js';
import type { Batch } from '../src/data/dataset.js';
import { batchFrom, openOnRuntime, trainOnBatch } from '../src/pipeline/index.js';
import { stepsOnBatch } from '../src/pipeline/one-batch.js';
import { localRuleNames, parseRecipe, type Recipe } from '../src/recipe/index.js';
import { createWebRuntime } from '../src/runtime/web/index.js';

ort.env.wasm.numThreads = 1;

const folder = new URL('golden/rules/', import.meta.url);
const cases = readdirSync(folder).flatMap((file) => /^(.*)\.recipe\.json$/.exec(file)?.[1] ?? []);

const recipeOf = (name: string) =>
  parseRecipe(JSON.parse(readFileSync(new URL(`${name}.recipe.json`, folder), 'utf8')), name);

/** The tensors whose names begin with `prefix`, without it. */
const below = (tensors: NamedTensors, prefix: string): NamedTensors =>
  new Map(
    [...tensors].flatMap(([name, tensor]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), tensor]] : [])),
  );

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/** ‖found - expected‖ / (‖expected‖ + a thousandth of all that is expected), the largest. */
function worst(found: NamedTensors, expected: NamedTensors): { name: string; error: number } {
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
  const floor = 1e-3 * Math.hypot(...[...expected.values()].map(({ data }) => norm(data as Float32Array)));
  const errors = [...expected].map(([name, { data, shape }]) => {
    const [target, actual] = [data as Float32Array, found.get(name)!];
    expect(actual.shape, name).toEqual(shape);
    const difference = (actual.data as Float32Array).map((value, i) => value - target[i]!);
    return { name, error: norm(difference) / (norm(target) + floor) };
  });
  return errors.reduce((a, b) => (b.error > a.error || Number.isNaN(b.error) ? b : a));
}

test('every rule with heads has a golden step', () => {
  const rules = new Set(cases.map((name) => recipeOf(name).local.rule));
  expect([...rules, 'bp'].sort()).toEqual([...localRuleNames].sort());
});

type Steps = (recipe: Recipe, weights: NamedTensors, batch: Batch) => Promise<NamedTensors>;

const natively =
  (schedule: string, lowering: string): Steps =>
  async (recipe, weights, batch) =>
    trainOnBatch(recipe, weights, batch, { steps: 2, schedule, lowering, threads: 1 }, { weights: 'golden' });

/** In the runtime of browsers. */
const onWeb =
  (schedule: 'fused' | 'sync'): Steps =>
  async (given, weights, batch) => {
    using runtime = createWebRuntime(ort);
    const recipe = { ...given, data: { ...given.data, batch: batch.label.shape[0]! } };
    const { engine, manifest } = await openOnRuntime(recipe, runtime, { schedule, gradients: true });
    try {
      engine.load(checkWeights(weights, manifest.parameters, 'golden', { statisticsOptional: true }));
      return await stepsOnBatch(engine, manifest, batch, 2);
    } finally {
      engine.dispose();
    }
  };

describe.each(cases)('%s', (name) => {
  const recipe = recipeOf(name);
  const golden = decodeSafetensors(readFileSync(new URL(`${name}.safetensors`, folder)), name).tensors;
  const batch = batchFrom(new Map(['image', 'label'].map((key) => [key, golden.get(key)!])), recipe, name);

  test.each([
    ['schedule fused, lowering portable', natively('fused', 'portable')],
    ['schedule sync, lowering auto', natively('sync', 'auto')],
    ['schedule fused, on onnxruntime-web', onWeb('fused')],
    ['schedule sync, on onnxruntime-web', onWeb('sync')],
  ])(
    'losses, gradients and parameters agree: %s',
    async (_way, steps) => {
      const found = await steps(recipe, below(golden, 'weight/'), batch);
      for (const [kind, tolerance] of [
        ['loss/', 1e-5],
        ['grad/', 1e-4],
        ['param/', 1e-4],
      ] as const) {
        const { name: tensor, error } = worst(below(found, kind), below(golden, kind));
        expect(error, `${kind}${tensor}`).toBeLessThan(tolerance);
      }
    },
    120_000,
  );
});
