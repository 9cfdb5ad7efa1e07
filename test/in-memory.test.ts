/** Training without files, on the native runtime and that of browsers: the same bits as a run in a folder, whether it was interrupted or not. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as ort from 'onnxruntime-web/wasm';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Dataset } from '../src/data/dataset.js';
import { loadDataset } from '../src/data/load.js';
import { decodeSafetensors } from '../src/files/safetensors.js';
import type { NamedTensors } from '../src/files/tensor.js';
import { createNativeRuntime } from '../src/runtime/native/index.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { createWebRuntime } from '../src/runtime/web/index.js';
import { train } from '../src/train/index.js';
import { type EpochResult, type InMemoryProgress, trainInMemory } from '../src/train/in-memory.js';
import { tinyRecipe } from './support/training.js';

const scratch = mkdtempSync(path.join(tmpdir(), 'hpff-in-memory-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** 12 steps of 4 an epoch; averages are kept, so that they are compared too. */
const recipe = tinyRecipe({
  optimizer: { type: 'sgd', learningRate: 0.05, ema: { decay: 0.9 } },
});

const data: { train: Dataset; test: Dataset } = {
  train: await loadDataset('digits', 'train'),
  test: await loadDataset('digits', 'test'),
};

ort.env.wasm.numThreads = 1;

let runtime: Runtime;
beforeEach(async () => void (runtime = await createNativeRuntime({ threads: 1 })));
/** Throws where something was left in it. */
afterEach(() => runtime.dispose());

const bits = (tensors: NamedTensors): Map<string, Buffer> =>
  new Map([...tensors].map(([name, { data: d }]) => [name, Buffer.from(d.buffer, d.byteOffset, d.byteLength)]));

describe('a whole training', () => {
  test.each(['sync', 'fused'] as const)('has the bits and the accuracy of a run in a folder: %s', async (schedule) => {
    const folder = path.join(scratch, schedule);
    const expected = await train(recipe, { folder, schedule, lowering: 'portable', threads: 1 });
    const epochs: EpochResult[] = [];
    const steps: InMemoryProgress[] = [];
    const found = await trainInMemory(recipe, runtime, data, {
      schedule,
      onEpoch: (result) => void epochs.push(result),
      onStep: (progress) => void steps.push(progress),
    });
    const saved = (file: string) => {
      const checkpoint = path.join(folder, 'checkpoints', String(expected.step), `${file}.safetensors`);
      return bits(decodeSafetensors(readFileSync(checkpoint), file).tensors);
    };
    const { step, weights, optimizer } = found.state;
    expect(step).toBe(expected.step);
    expect(new Map([...bits(weights)].sort())).toEqual(new Map([...saved('weights')].sort()));
    expect(new Map([...bits(optimizer)].sort())).toEqual(new Map([...saved('optimizer')].sort()));
    expect(found.testAccuracy).toBe(expected.testAccuracy);
    expect(found.testLoss).toBe(expected.testLoss);
    expect(epochs.map((result) => [result.epoch, result.step])).toEqual([[1, 4], [2, 8], [3, 12]]); // prettier-ignore
    expect(epochs.at(-1)!.testAccuracy).toBe(expected.testAccuracy);
    expect(steps.map((progress) => progress.step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(steps[5]).toMatchObject({ epoch: 2, totalSteps: 12 });
    expect([...steps[5]!.losses.keys()]).toContain('2/final/classifier');
  });

  test('gives the averages to use, and the weights to go on from', async () => {
    const { weights, state } = await trainInMemory(recipe, runtime, data, { steps: 2 });
    expect(weights.get('fc.weight')).toBe(state.optimizer.get('ema/fc.weight'));
    expect(weights.get('fc.weight')!.data).not.toEqual(state.weights.get('fc.weight')!.data);
  });
});

describe.each<[string, () => Promise<Runtime>]>([
  ['native', async () => createNativeRuntime({ threads: 1 })],
  ['onnxruntime-web', async () => createWebRuntime(ort)],
])('%s', (_name, create) => {
  beforeEach(async () => {
    runtime.dispose();
    runtime = await create();
  });

  test.each([3, 4])('stopped after step %d and gone on with, it has the same bits', async (last) => {
    const whole = await trainInMemory(recipe, runtime, data);
    const stop = new AbortController();
    const onStep = ({ step }: InMemoryProgress): void => {
      if (step === last) stop.abort();
    };
    const first = await trainInMemory(recipe, runtime, data, { signal: stop.signal, onStep });
    expect(first).toMatchObject({ testAccuracy: null, testLoss: null, state: { step: last } });
    const carried = structuredClone(first.state);
    const second = await trainInMemory(recipe, runtime, data, { resume: carried });
    expect(bits(second.state.weights)).toEqual(bits(whole.state.weights));
    expect(bits(second.state.optimizer)).toEqual(bits(whole.state.optimizer));
    expect(second.testLoss).toBe(whole.testLoss);
  });

  test('goes on from what an epoch gave', async () => {
    const whole = await trainInMemory(recipe, runtime, data);
    const states: Awaited<ReturnType<EpochResult['state']>>[] = [];
    await trainInMemory(recipe, runtime, data, {
      onEpoch: async ({ epoch, state }) => void (epoch === 2 && states.push(await state())),
    });
    const resumed = await trainInMemory(recipe, runtime, data, { resume: states[0]! });
    expect(bits(resumed.state.weights)).toEqual(bits(whole.state.weights));
  });

  test('starts from given weights', async () => {
    const { state } = await trainInMemory(recipe, runtime, data, { steps: 1 });
    const same = await trainInMemory(recipe, runtime, data, { steps: 0, weights: state.weights });
    expect(bits(same.state.weights)).toEqual(bits(state.weights));
  });

  test('stopped before it starts or while it is evaluated, it evaluates nothing', async () => {
    const early = await trainInMemory(recipe, runtime, data, { signal: AbortSignal.abort() });
    expect(early).toMatchObject({ testAccuracy: null, state: { step: 0 } });
    const stop = new AbortController();
    const epochs: EpochResult[] = [];
    const found = await trainInMemory(recipe, runtime, data, {
      signal: stop.signal,
      onStep: ({ step }) => void (step === 4 && setTimeout(() => stop.abort())),
      onEpoch: (result) => void epochs.push(result),
    });
    expect(found.state.step).toBeLessThan(9);
    expect(found.testAccuracy).toBe(null);
  });

  test('the state of an epoch is to be had in onEpoch, awaited or not, and not later', async () => {
    let later: EpochResult['state'] | undefined;
    let state: ReturnType<EpochResult['state']> | undefined;
    const { state: last } = await trainInMemory(recipe, runtime, data, {
      steps: 8,
      onEpoch: (result) => {
        later = result.state;
        if (result.epoch === 1) state = result.state();
      },
    });
    const whole = await trainInMemory(recipe, runtime, data, { steps: 8, resume: (await state)! });
    expect(bits(whole.state.weights)).toEqual(bits(last.weights));
    await expect(later!()).rejects.toThrow('epoch 2: its state was asked for after onEpoch');
  });

  describe('refuses, and leaves nothing behind', () => {
    test('weights that lack one', async () => {
      const { state } = await trainInMemory(recipe, runtime, data, { steps: 0 });
      const weights = new Map(state.weights);
      weights.delete('fc.bias');
      await expect(trainInMemory(recipe, runtime, data, { weights })).rejects.toThrow('weights: tensor "fc.bias"');
      const resume = { ...state, optimizer: new Map() };
      await expect(trainInMemory(recipe, runtime, data, { resume })).rejects.toThrow('resume.optimizer');
    });

    test('data of other classes, or of another size', async () => {
      const classes = { ...data, train: { ...data.train, classes: 12 } };
      await expect(trainInMemory(recipe, runtime, classes)).rejects.toThrow(
        'network.classes: found 10, allowed: 12, as digits has',
      );
      const sized = { ...data, train: { ...data.train, image: [1, 4, 16] as const } };
      await expect(trainInMemory(recipe, runtime, sized)).rejects.toThrow('image');
    });

    test.each<[string, Partial<Dataset>, string]>([
      ['no images', { count: 0 }, 'data.test.count: found 0, allowed: a whole number from 1'],
      [
        'pixels as floats',
        { pixels: new Float32Array(23040) as unknown as Uint8Array },
        'data.test.pixels: found Float32Array, allowed: a Uint8Array',
      ],
      [
        'too few pixels',
        { pixels: new Uint8Array(100) },
        'data.test.pixels: found 100 values, allowed: 23040, 360 × 1 × 8 × 8',
      ],
      [
        'too few labels',
        { labels: new Uint8Array(10) },
        'data.test.labels: found 10 values, allowed: 360, one for each image',
      ],
      [
        'a label that is no class',
        { labels: new Uint8Array(360).fill(10, 7) },
        'data.test.labels, image 7: label 10; allowed: 0 to 9',
      ],
      [
        'an image of two sizes',
        { image: [8, 8] as never },
        'data.test.image: found [8,8], allowed: [channels, height, width], whole numbers from 1',
      ],
      ['no pixels at all', { pixels: undefined }, 'data.test.pixels: found undefined, allowed: a Uint8Array'],
    ])('a data set of %s', async (_what, changes, message) => {
      const given = { ...data, test: { ...data.test, ...changes } };
      await expect(trainInMemory(recipe, runtime, given)).rejects.toThrow(message);
    });

    test('what is done with image files only', async () => {
      const { data: config } = recipe;
      const augment = { ...config.augment, resizedCrop: { scale: [0.1, 1], ratio: [0.75, 1.5] } as never };
      const cropped = { ...recipe, data: { ...config, augment } };
      const message = 'data.augment.resizedCrop: is for image files; images in memory allow: null';
      await expect(trainInMemory(cropped, runtime, data)).rejects.toThrow(message);
    });

    test('a schedule that it does not have', async () => {
      const schedule = 'async' as 'sync';
      const training = trainInMemory(recipe, runtime, data, { schedule });
      await expect(training).rejects.toThrow('schedule: found async, allowed: fused, sync');
    });

    test('what is no data set, or no tensors by name', async () => {
      const without = { train: data.train } as typeof data;
      await expect(trainInMemory(recipe, runtime, without)).rejects.toThrow(
        'data.test: found undefined, allowed: a data set',
      );
      const { state } = await trainInMemory(recipe, runtime, data, { steps: 0 });
      const fromJson = JSON.parse(JSON.stringify(state)) as typeof state;
      const resumed = trainInMemory(recipe, runtime, data, { resume: fromJson });
      await expect(resumed).rejects.toThrow('resume.weights: found object, allowed: a Map of tensors by name');
    });

    test('to go on beyond the end, or from two places', async () => {
      const state = { step: 13, weights: new Map(), optimizer: new Map() };
      const beyond = trainInMemory(recipe, runtime, data, { resume: state });
      await expect(beyond).rejects.toThrow('resume.step: found 13, allowed: 0 to 12, the steps of the training');
      const both = trainInMemory(recipe, runtime, data, { resume: { ...state, step: 1 }, weights: new Map() });
      await expect(both).rejects.toThrow('weights: found beside resume');
    });

    test.each([NaN, -1, 1.5])('%d steps', async (steps) => {
      await expect(trainInMemory(recipe, runtime, data, { steps })).rejects.toThrow(
        `steps: found ${steps}, allowed: a whole number from 0`,
      );
      const resume = { step: steps, weights: new Map(), optimizer: new Map() };
      await expect(trainInMemory(recipe, runtime, data, { resume })).rejects.toThrow(`resume.step: found ${steps}`);
    });

    test('to go on with losses that are no numbers', async () => {
      const mad = tinyRecipe({
        optimizer: { type: 'sgd', learningRate: 1e30 },
        schedule: { type: 'constant', epochs: 3 },
      });
      const training = trainInMemory(mad, runtime, data);
      await expect(training).rejects.toThrow(expect.objectContaining({ code: 'LOSS_NOT_FINITE' }) as Error);
    });

    test.each(['onStep', 'onEpoch'])('what fails in a listener: %s', async (listener) => {
      const fail = async (): Promise<void> => Promise.reject(new Error('of the page'));
      await expect(trainInMemory(recipe, runtime, data, { [listener]: fail })).rejects.toThrow('of the page');
    });

    test('memory that is not there', async () => {
      for (let fails = 0; ; fails++) {
        const upload = runtime.upload.bind(runtime);
        let count = 0;
        // All but the state's own: there are more than a hundred of these.
        runtime.upload = (tensor) => {
          if (tensor.shape.length === 0 || tensor.dtype === 'int64' || tensor.shape[0] === 300) {
            if (count++ === fails) throw new RangeError('Array buffer allocation failed');
          }
          return upload(tensor);
        };
        const training = trainInMemory(recipe, runtime, data, { steps: 1, signal: AbortSignal.timeout(60_000) });
        const failed = await training.then(() => false, (error: unknown) => error instanceof RangeError); // prettier-ignore
        runtime.upload = upload;
        runtime.dispose();
        runtime = await create();
        if (!failed) {
          expect(fails).toBeGreaterThan(3);
          break;
        }
        expect(fails).toBeLessThan(50);
      }
    });
  });
});
