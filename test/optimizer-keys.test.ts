/** The recipe's keys of optimizer and loss, from the recipe to what a training leaves. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Batch } from '../src/data/dataset.js';
import { syntheticBatch } from '../src/data/synthetic.js';
import { readSafetensors } from '../src/files/safetensors.js';
import { elementCount, type NamedTensors } from '../src/files/tensor.js';
import { buildStep, initialWeights, keptBytes, moduleCosts } from '../src/local/index.js';
import { type OneBatchOptions, trainOnBatch } from '../src/pipeline/index.js';
import { recipeHash } from '../src/recipe/hash.js';
import { parseRecipe } from '../src/recipe/index.js';
import { evaluateModel, train } from '../src/train/index.js';
import { expectClose } from './reference/compare.js';
import { latestBits, metricsOf, tinyRecipe, tinyRecipeFile } from './support/training.js';

const sgd = { type: 'sgd', learningRate: 0.05 };
const everything = {
  loss: { labelSmoothing: 0.1 },
  optimizer: {
    ...sgd,
    clipNorm: 1,
    decayVectors: false,
    microBatch: 100,
    ema: { decay: 0.9 },
    learningRateFactors: { modules: { first: 1, last: 0.5 }, heads: 0.5 },
  },
};

let folder: string;
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), 'hpff-optimizer-'))));
afterAll(() => rmSync(folder, { recursive: true }));

const runStep = async (
  changes: Record<string, unknown>,
  batch: (whole: Batch) => Batch = (whole) => whole,
  options: OneBatchOptions = {},
): Promise<NamedTensors> => {
  const recipe = tinyRecipe({ data: { dataset: 'digits', batch: 24 }, ...changes });
  const settings = { lowering: 'portable', threads: 1, ...options };
  return trainOnBatch(recipe, initialWeights(recipe), batch(syntheticBatch(recipe)), settings, { weights: 'initial' });
};

/** Images from `start` on. */
const part =
  (start: number, count: number) =>
  ({ image, label }: Batch): Batch => {
    const pixels = image.data.length / image.shape[0]!;
    const [, ...size] = image.shape;
    return {
      image: { ...image, shape: [count, ...size], data: image.data.slice(start * pixels, (start + count) * pixels) },
      label: { ...label, shape: [count], data: label.data.slice(start, start + count) },
    };
  };

test.each(['sync', 'fused', 'async'])(
  'gradients and losses of micro-batches are the means of theirs, %s',
  async (schedule) => {
    const whole = await runStep({ optimizer: { ...sgd, microBatch: 8 } }, undefined, { schedule });
    const parts = await Promise.all([0, 8, 16].map(async (start) => runStep({}, part(start, 8))));
    let compared = 0;
    for (const [name, { data }] of whole) {
      if (!/^(grad|loss)\//.test(name)) continue;
      const all = parts.map((each) => each.get(name)!.data as Float32Array);
      const mean = Float64Array.from({ length: data.length }, (_, i) =>
        all.reduce((sum, each) => sum + each[i]! / 3, 0),
      );
      expectClose(data, mean, 1e-6, name);
      compared++;
    }
    expect(compared).toBeGreaterThan(40);
  },
);

test('a batch that is no multiple of the micro-batches is refused, a smaller one is run at once', async () => {
  const optimizer = { ...sgd, microBatch: 8 };
  await expect(runStep({ optimizer }, part(0, 20))).rejects.toThrow('optimizer.microBatch: found 8, allowed: a divisor of the batch, 20'); // prettier-ignore
  expect(await runStep({ optimizer }, part(0, 6))).toEqual(await runStep({}, part(0, 6)));
});

test('all schedules give the same bits, averages included', async () => {
  const changes = { ...everything, optimizer: { ...everything.optimizer, microBatch: 8 } };
  const [sync, fused, async] = await Promise.all(
    ['sync', 'fused', 'async'].map(async (schedule) => runStep(changes, undefined, { schedule, steps: 3 })),
  );
  expect(sync!.has('ema/stem.conv.weight')).toBe(true);
  expect([...sync!.keys()].some((name) => /^ema\/(heads|.*running)/.test(name))).toBe(false);
  expect(fused).toEqual(sync);
  expect(async).toEqual(sync);
});

test('every cross-entropy is smoothed, that of the network and those of the heads', () => {
  for (const rule of ['dgl', 'infopro', 'predsim', 'auglocal']) {
    const { graph } = buildStep(tinyRecipe({ ...everything, local: { rule } }), 300);
    const found = graph.nodes.filter(({ op }) => op === 'SoftmaxCrossEntropy').map(({ attributes }) => attributes);
    expect(found, rule).toEqual([{ smoothing: 0.1 }, { smoothing: 0.1 }, { smoothing: 0.1 }]);
  }
});

test('gradients are clipped module by module and head by head', () => {
  const groups = (changes: Record<string, unknown>): number =>
    buildStep(tinyRecipe(changes), 300).graph.nodes.filter(({ op, scope }) => op === 'Sqrt' && /optimizer\/clip$/.test(scope)).length; // prettier-ignore
  const optimizer = { ...sgd, clipNorm: 1 };
  expect(groups({ optimizer, local: { rule: 'bp' } })).toBe(1);
  // Three modules; one head on each of two of them.
  expect(groups({ optimizer, local: { rule: 'dgl' } })).toBe(5);
  expect(groups({ local: { rule: 'dgl' } })).toBe(0);
});

test('a factor of 0 leaves a module as it is, and heads have a factor of their own', async () => {
  const frozen = await runStep({ optimizer: { ...sgd, learningRateFactors: { modules: [0, 1, 1], heads: 0 } } });
  const recipe = tinyRecipe({ data: { dataset: 'digits', batch: 24 } });
  const [first] = buildStep(recipe, 2).modules;
  for (const [name, { data }] of initialWeights(recipe)) {
    const moved = frozen.get(`param/${name}`)?.data;
    if (!moved) continue;
    const stays = name.startsWith('heads.') || first!.parameters.includes(name);
    if (stays) expect(moved, name).toEqual(data);
    else if (name.endsWith('conv1.weight')) expect(moved, name).not.toEqual(data);
  }
});

test(
  'an interrupted training goes on to the same bits, and is evaluated with the averages',
  { timeout: 60_000 },
  async () => {
    const recipe = tinyRecipe(everything);
    const [whole, resumed] = ['whole', 'resumed'].map((name) => path.join(folder, name)) as [string, string];
    const settings = { threads: 1, lowering: 'portable' };
    const { testAccuracy, testLoss } = await train(recipe, { ...settings, folder: whole, steps: 6 });
    await train(recipe, { ...settings, folder: resumed, steps: 3 });
    await train(recipe, { ...settings, folder: resumed, steps: 6, resume: true });
    expect(latestBits(resumed)).toEqual(latestBits(whole));
    const steps = metricsOf(whole).filter(({ event }) => event === 'step');
    expect(steps.at(-1)).toMatchObject({ step: 6 });
    const { tensors } = await readSafetensors(path.join(whole, 'checkpoints/6/optimizer.safetensors'));
    expect(tensors.has('ema/fc.weight')).toBe(true);
    expect(tensors.has('ema/stem.bn.running_mean')).toBe(true);
    expect([...tensors.keys()].some((name) => name.startsWith('accumulated/'))).toBe(false);
    const averaged = await evaluateModel(whole, { threads: 1, lowering: 'portable' });
    const raw = await evaluateModel(whole, { threads: 1, lowering: 'portable', ema: false });
    expect(averaged).toMatchObject({ accuracy: testAccuracy, loss: testLoss });
    expect(raw.loss).not.toBe(averaged.loss);
  },
);

test('costs: what is kept, and activations of one micro-batch', () => {
  const plain = buildStep(tinyRecipe(), 300);
  const step = buildStep(tinyRecipe(everything), 300);
  const bytes = (kind?: string): number =>
    plain.parameters.reduce(
      (sum, { shape, kind: own }) => (kind && own !== kind ? sum : sum + 4 * elementCount(shape)),
      0,
    );
  const heads = plain.parameters.filter(({ name }) => name.startsWith('heads.'));
  const headBytes = heads.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
  const common = { weightBytes: bytes(), optimizerBytes: bytes('parameter') };
  expect(keptBytes(plain)).toEqual({ ...common, averageBytes: 0, gradientSumBytes: 0 });
  expect(keptBytes(step)).toEqual({
    ...common,
    averageBytes: bytes() - headBytes,
    gradientSumBytes: bytes('parameter'),
  });
  moduleCosts(step).forEach((cost, i) => {
    const whole = moduleCosts(plain)[i]!;
    expect(cost.flops).toBe(whole.flops);
    expect(cost.activationBytes).toBeLessThan(whole.activationBytes / 2.5);
  });
});

test('what changes nothing is no part of the recipe', () => {
  const plain = tinyRecipe();
  const neutral = tinyRecipe({
    loss: { labelSmoothing: 0 },
    optimizer: {
      ...sgd,
      clipNorm: null,
      decayVectors: true,
      ema: null,
      learningRateFactors: { modules: { first: 1, last: 1 }, heads: 1 },
      microBatch: 300,
    },
  });
  expect(recipeHash(neutral)).toBe(recipeHash(plain));
  expect(recipeHash(tinyRecipe(everything))).not.toBe(recipeHash(plain));
  expect(parseRecipe(JSON.parse(JSON.stringify(tinyRecipe(everything))), 'again')).toEqual(tinyRecipe(everything));
});

test.each([
  [{ microBatch: 7 }, 'optimizer.microBatch: found 7, allowed: a divisor of data.batch, 300'],
  [{ microBatch: 0 }, 'optimizer.microBatch: found 0, allowed: an integer from 1 to 65536 or null'],
  [{ clipNorm: 0 }, 'optimizer.clipNorm: found 0, allowed: a number > 0 or null'],
  [{ decayVectors: 'no' }, 'optimizer.decayVectors: found "no", allowed: true or false'],
  [{ ema: { decay: 1 } }, 'optimizer.ema.decay: found 1, allowed: a number ≥ 0 and < 1'],
  [{ ema: 0.9 }, 'optimizer.ema: found 0.9, allowed: an object or null'],
  [
    { learningRateFactors: { modules: 3 } },
    'optimizer.learningRateFactors.modules: found 3, allowed: a list of numbers ≥ 0',
  ],
  [{ learningRateFactors: { modules: [-1] } }, 'optimizer.learningRateFactors.modules'],
])('%j is refused', (keys, message) => {
  expect(() => parseRecipe(tinyRecipeFile({ optimizer: { ...sgd, ...keys } }), 'tiny')).toThrow(message);
});

test.each([[-0.1], [1]])('labelSmoothing %d is refused', (labelSmoothing) => {
  const file = tinyRecipeFile({ loss: { labelSmoothing } });
  expect(() => parseRecipe(file, 'tiny')).toThrow(`loss.labelSmoothing: found ${labelSmoothing}, allowed: a number ≥ 0 and < 1`); // prettier-ignore
});
