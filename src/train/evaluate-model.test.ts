import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { int64Tensor } from '../../test/onnx-models.js';
import { smallModel } from '../../test/small-models.js';
import { smallRecipe, trainedWeights } from '../../test/support/small-recipe.js';
import { loadDataset } from '../data/load.js';
import { exportModel } from '../export/index.js';
import { encodeModel } from '../onnx/encode.js';
import { recipeHash } from '../recipe/hash.js';
import { CheckpointWriter } from './checkpoint.js';
import { evaluateModel } from './evaluate-model.js';
import { createRun } from './run-folder.js';
import { RunLock } from './run-lock.js';

const recipe = smallRecipe();
const weights = trainedWeights(recipe);
let root: string;
let run: string;
beforeAll(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'hpff-evaluate-'));
  run = path.join(root, 'run');
  const hash = recipeHash(recipe);
  const computed = { onnxRuntime: '', device: 'cpu', schedule: 'sync', lowering: 'portable', delay: 0, threads: 1 };
  const position = { step: 0, skipped: 0, epoch: 1, index: 0, stepsPerEpoch: 44, seed: recipe.seed };
  const state = {
    ...position,
    recipeHash: hash,
    overrides: {},
    dataHash: hash,
    computed,
    evaluation: null,
    openGroup: null,
  };
  await using lock = new RunLock(run);
  await createRun(run, recipe, lock, async (folder) => {
    await new CheckpointWriter(folder, 1).write(state, () => ({ weights, optimizer: new Map() }));
  });
});
afterAll(() => rmSync(root, { recursive: true }));

function file(name: string, bytes: Uint8Array): string {
  const at = path.join(root, name);
  writeFileSync(at, bytes);
  return at;
}

/** The scores are the pixels of these positions, row by row of the first channel. */
function pixelModel(positions: readonly number[], image: readonly number[], batch: number | string = 'N'): Uint8Array {
  return smallModel({
    inputs: { x: [batch, ...image] },
    outputs: { y: [batch, positions.length] },
    nodes: [
      ['Flatten', ['x'], ['flat'], { axis: 1 }],
      ['Gather', ['flat', 'positions'], ['y'], { axis: 1 }],
    ],
    initializers: [int64Tensor('positions', [positions.length], positions.map(BigInt))],
  });
}

/** The same, spelt out. */
async function byHand(positions: readonly number[]): Promise<{ accuracy: number; loss: number }> {
  const { pixels, labels, count } = await loadDataset('digits', 'test');
  let correct = 0;
  let loss = 0;
  for (let i = 0; i < count; i++) {
    const scores = positions.map((at) => pixels[64 * i + at]! / 255);
    if (scores.indexOf(Math.max(...scores)) === labels[i]) correct++;
    loss += Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0)) - scores[labels[i]!]!;
  }
  return { accuracy: correct / count, loss: loss / count };
}

const middle = [18, 19, 20, 21, 26, 27, 28, 29, 34, 35];

describe('evaluateModel', () => {
  it('gives a run and its exported model the same accuracy and loss', async () => {
    const ofRun = await evaluateModel(run, { threads: 1 });
    const ofModel = await evaluateModel(file('trunk.onnx', encodeModel(exportModel(recipe, weights))), { threads: 1 });
    expect(ofRun).toMatchObject({ dataset: 'digits', images: 360 });
    expect(ofModel.accuracy).toBe(ofRun.accuracy);
    expect(ofModel.loss).toBeCloseTo(ofRun.loss, 5);
    expect(ofRun.loss).toBeGreaterThan(0.5); // of drawn weights
  });

  it.each(['N', 1, 64])('gives a foreign model pixel values in [0, 1] (batch %s)', async (batch) => {
    const model = file('pixels.onnx', pixelModel(middle, [1, 8, 8], batch));
    const found = await evaluateModel(model, { dataset: 'digits', threads: 1 });
    const expected = await byHand(middle);
    expect(found.accuracy).toBeCloseTo(expected.accuracy, 12);
    expect(found.loss).toBeCloseTo(expected.loss, 6);
    expect(found.images).toBe(360);
  });

  it('refuses scores that are no numbers', async () => {
    const bytes = smallModel({
      inputs: { x: ['N', 1, 8, 8] },
      outputs: { y: ['N', 64] },
      nodes: [
        ['Flatten', ['x'], ['flat'], { axis: 1 }],
        ['Log', ['flat'], ['y']],
      ],
    });
    const model = file('log.onnx', bytes);
    await expect(evaluateModel(model, { dataset: 'digits', threads: 1 })).rejects.toMatchObject({
      code: 'EVALUATE_NOT_FINITE',
    });
  });

  it('repeats grey for colour and centres on black where a foreign model asks for it', async () => {
    // In the third of three 10 × 10 channels every pixel is one further to the right and down.
    const positions = middle.map((at) => 200 + 10 * (1 + Math.floor(at / 8)) + 1 + (at % 8));
    const model = file('colour.onnx', pixelModel(positions, [3, 10, 10]));
    const warnings: string[] = [];
    const found = await evaluateModel(model, { dataset: 'digits', threads: 1, warn: (line) => warnings.push(line) });
    expect(found.loss).toBeCloseTo((await byHand(middle)).loss, 6);
    expect(warnings).toEqual([
      `${model}: says nothing of how images are prepared: it gets pixel values in [0, 1], grey repeated to 3 channels, centred on black to 10 × 10 pixels`,
    ]);
  });

  it.each<[string, string, RegExp]>([
    ['no data set', 'EVALUATE_DATASET', /says nothing of its data set; name it by --dataset/],
    ['few classes', 'DATA_CLASSES', /has 3 classes, but digits has 10; allowed: at least as many/],
    ['small images', 'DATA_IMAGE_MISMATCH', /images of digits are \[1, 8, 8\]/],
    ['nothing there', 'FILE_MISSING', /no such file or folder/],
    ['empty folder', 'RUN_MISSING', /is empty; allowed: the folder of a run/],
    ['no model', 'ONNX_INVALID', /not a valid ONNX model/],
  ])('refuses: %s', async (what, code, message) => {
    mkdirSync(path.join(root, 'empty'), { recursive: true });
    const models: Record<string, () => string> = {
      'no data set': () => file('m.onnx', pixelModel(middle, [1, 8, 8])),
      'few classes': () => file('m.onnx', pixelModel([1, 2, 3], [1, 8, 8])),
      'small images': () => file('m.onnx', pixelModel(middle, [1, 6, 6])),
      'nothing there': () => path.join(root, 'none'),
      'empty folder': () => path.join(root, 'empty'),
      'no model': () => file('m.onnx', Buffer.from('hello')),
    };
    const dataset = what === 'no data set' ? undefined : 'digits';
    await expect(evaluateModel(models[what]!(), { dataset, threads: 1 })).rejects.toMatchObject({
      code,
      exitCode: 2,
      message: expect.stringMatching(message) as string,
    });
  });
});
