/** Leaving out a step whose images give no numbers, with the real engines under every schedule. `on-nan.test.ts` has the policies by themselves. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type * as pipeline from '../src/pipeline/index.js';
import type { StepInput, StepRun } from '../src/pipeline/index.js';
import { type NanPolicy, train, type TrainOptions } from '../src/train/index.js';
import { latestBits, metricsOf, tinyRecipe } from './support/training.js';

const brokenStep = 6;

vi.mock('../src/pipeline/index.js', async (importOriginal) => {
  const real = await importOriginal<typeof pipeline>();
  return {
    ...real,
    openEngine: async (...given: Parameters<typeof real.openEngine>) => {
      const open = await real.openEngine(...given);
      const run = open.engine.run.bind(open.engine);
      open.engine.run = (steps: StepRun) => run(withBrokenImages(steps));
      return open;
    },
  };
});

/** First pixels of each batch, in the order of a run in which nothing is broken. */
const batches: string[] = [];
let breaks = false;

/** The same steps; the images of one are no numbers. */
function withBrokenImages(steps: StepRun): StepRun {
  const next = async (): Promise<StepInput | undefined> => {
    const input = await steps.next();
    if (!input) return input;
    const { image } = input.batch;
    const pixels = image.data.slice(0, 200).join();
    if (!breaks) batches.push(pixels);
    if (!breaks || pixels !== batches[brokenStep - 1]) return input;
    return { ...input, batch: { ...input.batch, image: { ...image, data: image.data.map(() => NaN) } } };
  };
  return { ...steps, next };
}

const recipe = tinyRecipe({ schedule: { type: 'cosine', epochs: 2 } });
let root: string;
beforeAll(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'hpff-nan-'));
  await trained('stop', {});
  expect(new Set(batches).size).toBe(8);
  breaks = true;
});
afterAll(() => rmSync(root, { recursive: true }));

async function trained(onNan: NanPolicy, options: Partial<TrainOptions>) {
  const folder = mkdtempSync(path.join(root, 'run-'));
  await train(recipe, { folder, threads: 1, checkpointEvery: 3, logEvery: 3, onNan, ...options });
  const skipped = metricsOf(folder).filter(({ event }) => event === 'skipped');
  return { bits: latestBits(folder), skipped: skipped.map(({ step }) => step) };
}

test.each<[NanPolicy, number[]]>([
  ['skip', [6]],
  ['rollback', [5, 6]],
])('%s: ends with numbers, the same under every schedule', { timeout: 60_000 }, async (onNan, skipped) => {
  const sync = await trained(onNan, { schedule: 'sync' });
  expect([sync.bits.step, sync.skipped]).toEqual([8, skipped]);
  const async = await trained(onNan, { schedule: 'async', stages: 2 });
  expect(async).toEqual(sync);
  expect((await trained(onNan, { schedule: 'fused' })).skipped).toEqual(skipped);
  const late = await trained(onNan, { schedule: 'async', stages: 2, delay: 1 });
  expect([late.bits.step, late.skipped]).toEqual([8, skipped]);
  expect(await trained(onNan, { schedule: 'async', stages: 1, delay: 1 })).toEqual(late);
});

test('training sessions of ONNX Runtime leave out steps too', { timeout: 60_000 }, async () => {
  const { bits, skipped } = await trained('skip', { backend: 'ort-training' });
  expect([bits.step, skipped]).toEqual([8, [6]]);
});
