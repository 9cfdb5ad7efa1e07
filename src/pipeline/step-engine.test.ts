/** Engines: the same step whichever way it is cut, lowered or threaded; state in and out; nothing left behind. */
import { describe, expect, test } from 'vitest';
import { buildGraphs } from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import { elementCount, float32, type HostTensor, type NamedTensors } from '../files/tensor.js';
import { initialWeights } from '../local/index.js';
import { parseRecipe, type Recipe } from '../recipe/index.js';
import { Random } from '../random.js';
import { batchFrom, type EngineOptions, openEngine, StepEngine, trainOnBatch } from './index.js';

const count = 16;

function recipeOf(local: object, optimizer: object = { type: 'sgd', learningRate: 0.05 }, modules = 4): Recipe {
  return parseRecipe(
    {
      network: { type: 'cifar-resnet', depth: 14, widths: [16, 16, 32, 64], classes: 4, image: [3, 16, 16] },
      split: { modules },
      local,
      optimizer,
      schedule: { type: 'constant', epochs: 1 },
      data: { dataset: 'cifar10', batch: count, normalize: { mean: [0.5], std: [0.25] } },
    },
    'engine test',
  );
}

const hpff = { rule: 'infopro', hierarchy: { independent: 0.1, cascade: 0.9 } };
const released = recipeOf({ ...hpff, patches: { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' } });
const published = recipeOf({
  ...hpff,
  patches: { grid: 2, on: ['decoder', 'classifier'], weights: 'shared', fuse: 'mean' },
});

function batchOf({ network }: Recipe): Batch {
  const random = new Random(5, 'batch');
  const shape = [count, ...network.image];
  return {
    image: float32(
      shape,
      Float32Array.from({ length: elementCount(shape) }, () => random.normal()),
    ),
    label: { dtype: 'int64', shape: [count], data: BigInt64Array.from({ length: count }, (_, i) => BigInt(i % 4)) },
  };
}

/** Three steps; gradients, parameters and losses. */
const run = (recipe: Recipe, options: EngineOptions): Promise<NamedTensors> =>
  trainOnBatch(recipe, initialWeights(recipe), batchOf(recipe), { steps: 3, threads: 1, ...options }, { weights: 'w' });

/** ‖a - b‖ / ‖a‖ over all tensors whose name starts so. */
function difference(a: NamedTensors, b: NamedTensors, prefix: string): number {
  let error = 0;
  let norm = 0;
  for (const [name, { data }] of a) {
    if (!name.startsWith(prefix)) continue;
    const other = b.get(name)!.data;
    for (let i = 0; i < data.length; i++) {
      error += (Number(data[i]) - Number(other[i])) ** 2;
      norm += Number(data[i]) ** 2;
    }
  }
  return Math.sqrt(error / norm);
}

/** Names of tensors whose bits are not those of the other's. */
function different(found: NamedTensors, expected: NamedTensors): string[] {
  const bytes = ({ data }: HostTensor): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  expect([...found.keys()]).toEqual([...expected.keys()]);
  return [...found].filter(([name, t]) => !bytes(t).equals(bytes(expected.get(name)!))).map(([name]) => name);
}

describe.each([
  ['back-propagation', recipeOf({ rule: 'bp' })],
  ['DGL', recipeOf({ rule: 'dgl' })],
  ['DGL + HPFF, AdamW', recipeOf({ ...hpff, rule: 'dgl' }, { type: 'adamw', learningRate: 0.002 })],
  ['InfoPro, contrastive', recipeOf({ rule: 'infopro', classifier: { loss: 'contrastive' } })],
  ['HPFF as released', released],
  ['HPFF as published', published],
])('%s', (_name, recipe) => {
  test('fused and sync agree; portable and blocked agree', async () => {
    const reference = await run(recipe, { schedule: 'sync', lowering: 'portable' });
    for (const options of [
      { schedule: 'fused', lowering: 'portable' },
      { schedule: 'sync', lowering: 'auto' },
      { schedule: 'fused', lowering: 'auto' },
    ]) {
      const found = await run(recipe, options);
      expect([...found.keys()].sort()).toEqual([...reference.keys()].sort());
      expect(difference(reference, found, 'grad/')).toBeLessThan(1e-4);
      // Later steps amplify rounding.
      expect(difference(reference, found, 'param/')).toBeLessThan(1e-3);
    }
  });
});

test.each(['portable', 'auto'])('one and two threads give the same bits, lowering %s', async (lowering) => {
  const [one, two] = [await run(released, { lowering, threads: 1 }), await run(released, { lowering, threads: 2 })];
  for (const [name, { data }] of one) expect(two.get(name)!.data, name).toEqual(data);
});

test.each(['portable', 'auto'])('models that are shared give the bits of models of their own, %s', async (name) => {
  const recipe = recipeOf(released.local, released.optimizer, 6);
  const { engine, runtime, lowering, dispose } = await openEngine(recipe, { lowering: name, gradients: true });
  const graphs = buildGraphs(recipe, { lowering: lowering.lowering, schedules: ['sync'], gradients: true });
  const own = await StepEngine.create(runtime, graphs, { schedule: 'sync' });
  try {
    for (const each of [engine, own]) each.load(initialWeights(recipe));
    const batch = batchOf(recipe);
    for (const step of [1, 2]) {
      const found = await engine.step(batch, 0.05, step, true);
      const expected = await own.step(batch, 0.05, step, true);
      expect([found.total, found.losses]).toEqual([expected.total, expected.losses]);
      expect(different(found.gradients, expected.gradients)).toEqual([]);
    }
    expect(different(await engine.readWeights(), await own.readWeights())).toEqual([]);
  } finally {
    own.dispose();
    dispose();
  }
});

test('a run is the same when its state is carried over to another engine', async () => {
  const batch = batchOf(released);
  const whole = await openEngine(released, { threads: 1 });
  const first = await openEngine(released, { threads: 1 });
  const second = await openEngine(released, { threads: 1 });
  try {
    whole.engine.load(initialWeights(released));
    first.engine.load(initialWeights(released));
    for (const step of [1, 2, 3, 4]) await whole.engine.step(batch, 0.05, step);
    for (const step of [1, 2]) await first.engine.step(batch, 0.05, step);
    second.engine.load(await first.engine.readWeights(), await first.engine.readOptimizer());
    for (const step of [3, 4]) await second.engine.step(batch, 0.05, step);
    expect(await second.engine.readWeights()).toEqual(await whole.engine.readWeights());
    expect(await second.engine.readOptimizer()).toEqual(await whole.engine.readOptimizer());
  } finally {
    whole.dispose();
    first.dispose();
    second.dispose();
  }
});

test('training lowers the loss, running statistics move, and evaluation takes any batch', async () => {
  const { engine, dispose } = await openEngine(released, { threads: 1 });
  try {
    engine.load(initialWeights(released));
    const batch = batchOf(released);
    const { total } = await engine.step(batch, 0.05, 1);
    for (let step = 2; step <= 15; step++) await engine.step(batch, 0.05, step);
    expect((await engine.step(batch, 0.05, 16)).total).toBeLessThan(total);
    const mean = (await engine.readWeights()).get('layer2.0.bn1.running_mean')!.data as Float32Array;
    expect(Math.max(...mean.map(Math.abs))).toBeGreaterThan(0);
    const three = float32([3, 3, 16, 16], batch.image.data.slice(0, 3 * 3 * 256));
    expect(await engine.evaluate(three)).toHaveLength(3 * 4);
  } finally {
    dispose();
  }
});

test('a run trains whether or not its steps are reported', async () => {
  const { engine, dispose } = await openEngine(released, { lowering: 'portable' });
  try {
    const weightsAfter = async (report?: () => void): Promise<NamedTensors> => {
      let left = 2;
      engine.load(initialWeights(released));
      const next = async () => (left-- > 0 ? { batch: batchOf(released), learningRate: 0.05 } : undefined);
      await engine.run({ first: 1, next, ...(report ? { report } : {}) });
      return engine.readWeights();
    };
    const silent = await weightsAfter();
    expect(different(silent, initialWeights(released))).not.toEqual([]);
    expect(different(silent, await weightsAfter(() => undefined))).toEqual([]);
  } finally {
    dispose();
  }
});

test('disposing leaves no tensor or session: the runtime can be disposed', async () => {
  const { engine, dispose } = await openEngine(released, { threads: 1 });
  engine.load(initialWeights(released));
  await engine.step(batchOf(released), 0.05, 1);
  expect(dispose).not.toThrow();
});

test('a step that fails leaves the engine as it was', async () => {
  const { engine, dispose } = await openEngine(released, { threads: 1 });
  engine.load(initialWeights(released));
  const batch = batchOf(released);
  const before = (await engine.step(batch, 0, 1)).total;
  const { shape, data } = batch.image;
  const small = float32([count, 3, 8, 8], data.slice(0, count * 3 * 64));
  await expect(engine.step({ ...batch, image: small }, 0.1, 2)).rejects.toThrow(/modules\/00\/forward\.onnx/);
  expect((await engine.step({ ...batch, image: float32(shape, data) }, 0, 2)).total).toBe(before);
  dispose();
});

test.each([
  [{ schedule: 'later' }, /--schedule: found 'later', allowed: fused, sync/],
  [{ lowering: 'fast' }, /--lowering: found 'fast', allowed: auto, portable, blocked/],
  [{ device: 'tpu' }, /--device: found 'tpu', allowed: cpu/],
])('%j is refused', async (options, message) => {
  await expect(openEngine(released, options)).rejects.toThrow(message);
});

describe('a batch file', () => {
  const tensors = (): NamedTensors => new Map(Object.entries(batchOf(released))) as NamedTensors;
  const changed = (change: (tensors: NamedTensors) => void): NamedTensors => {
    const all = tensors();
    change(all);
    return all;
  };

  test('is taken', () => {
    expect(batchFrom(tensors(), released, 'b')).toEqual(batchOf(released));
  });

  test.each<[string, (all: NamedTensors) => unknown, RegExp]>([
    ['without labels', (all) => all.delete('label'), /b: tensor 'label': not found/],
    ['with another tensor', (all) => all.set('x', float32([1], [0])), /tensor 'x'/],
    ['of another image size', (all) => all.set('image', float32([1, 3, 8, 8], new Float32Array(192))), /image/],
    ['without images', (all) => all.set('image', float32([0, 3, 16, 16], [])), /image/],
    [
      'with a label outside the classes',
      (all) => ((all.get('label')!.data as BigInt64Array)[3] = 4n),
      /b: label 3: found 4, allowed: 0 to 3/,
    ],
    [
      'with a pixel that is no number',
      (all) => ((all.get('image')!.data as Float32Array)[7] = NaN),
      /element 7 is NaN/,
    ],
    ['with a label of another type', (all) => all.set('label', float32([count], new Float32Array(count))), /int64/],
  ])('%s is refused', (_what, change, message) => {
    expect(() => batchFrom(changed(change), released, 'b')).toThrow(message);
  });
});
