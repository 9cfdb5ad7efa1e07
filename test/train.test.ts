/** Training with the real engine: what it learns, what it tells, what it refuses. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { evaluateModel, readRun, train, type TrainEvent, type TrainOptions } from '../src/train/index.js';
import type { Recipe } from '../src/recipe/index.js';
import { hpff } from './cli.js';
import { idxFile } from './data-files.js';
import { documentedEvents, documentedKeys, keysOf } from './support/json-keys.js';
import { filesUnder, latestBits, metricsOf, tinyRecipe, tinyRecipeFile } from './support/training.js';

// Some tests train three times; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const recipe = tinyRecipe();
const stepsPerEpoch = 4;
const digits = path.join(import.meta.dirname, '../data/digits');

let root: string;
let count = 0;
/** A finished run; tests only read it, or copy it. */
let finished: string;
const events: TrainEvent[] = [];

const newFolder = (): string => path.join(root, `run-${count++}`);
const run = (folder: string, options: Partial<TrainOptions> = {}, what: Recipe = recipe) =>
  train(what, { folder, threads: 1, ...options });

beforeAll(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'hpff-train-'));
  finished = newFolder();
  await train(recipe, { folder: finished, threads: 1, logEvery: 3 }, { event: (event) => events.push(event) });
});
afterAll(() => rmSync(root, { recursive: true }));

describe('a run', () => {
  test('leaves its folder as documented', () => {
    const [tensorboard, ...rest] = filesUnder(finished).sort((a) => (a.startsWith('events.') ? -1 : 1));
    expect(tensorboard).toMatch(/^events\.out\.tfevents\.\d{14}\./);
    expect(rest).toEqual([
      'checkpoints/12/optimizer.safetensors',
      'checkpoints/12/state.json',
      'checkpoints/12/weights.safetensors',
      'checkpoints/8/optimizer.safetensors',
      'checkpoints/8/state.json',
      'checkpoints/8/weights.safetensors',
      'latest',
      'metrics.jsonl',
      'recipe.json',
      'sessions.jsonl',
    ]);
  });

  test('tells what happens, in order, and keeps steps and evaluations in metrics.jsonl', () => {
    const epoch = (e: number) => [`step ${4 * e - 1}`, `step ${4 * e}`, `epoch ${4 * e}`, `checkpoint ${4 * e}`];
    const told = events.map(({ event, step }) => `${event} ${step}`);
    expect(told).toEqual(['start 0', ...epoch(1), ...epoch(2), ...epoch(3), 'done 12']);
    const kept = events.filter(({ event }) => event === 'step' || event === 'epoch');
    expect(readFileSync(path.join(finished, 'metrics.jsonl'), 'utf8')).toBe(
      kept.map((event) => `${JSON.stringify(event)}\n`).join(''),
    );
  });

  test('reports the losses of every head, and their weighted sum', () => {
    const step = events.find(({ event }) => event === 'step') as TrainEvent & { event: 'step' };
    expect(step).toMatchObject({ step: 3, epoch: 1, steps: 3, learningRate: 0.01 });
    expect(Object.keys(step.losses).sort()).toEqual([
      '1/cascade/classifier',
      '1/cascade/decoder',
      '1/independent/classifier',
      '2/final/classifier',
    ]);
    expect(step.total).toBeCloseTo(totalOf(step.losses), 5);
    expect(step.imagesPerSecond).toBeGreaterThan(0);
    expect(step.peakBytes).toBeGreaterThan(2 ** 24);
  });

  function totalOf(losses: Readonly<Record<string, number>>): number {
    const weights: Record<string, number> = { '2/final/classifier': 1 };
    for (const [name, weight] of Object.entries(weightsOfModule1)) weights[name] = weight;
    return Object.entries(losses).reduce((sum, [name, loss]) => sum + weights[name]! * loss, 0);
  }
  /** λ of module 1 of 3, the only one with heads, is the last; the independent head has none. */
  const weightsOfModule1 = {
    '1/cascade/classifier': 0.999 * 0.5,
    '1/cascade/decoder': 0.999 * 0.2,
    '1/independent/classifier': 0.001,
  };

  test('is evaluated from its folder as it was in training', async () => {
    const done = events.at(-1) as TrainEvent & { event: 'done' };
    const evaluation = await evaluateModel(finished, { threads: 1 });
    expect(evaluation).toEqual({
      dataset: 'digits',
      accuracy: done.testAccuracy,
      loss: done.testLoss,
      images: 360,
    });
  });

  test('has the same bits whenever it is made, and others with another seed', async () => {
    const again = newFolder();
    await run(again);
    expect(latestBits(again)).toEqual(latestBits(finished));
    const other = newFolder();
    await run(other, { seed: 4 });
    expect(latestBits(other).weights).not.toBe(latestBits(finished).weights);
    expect((await readRun(other)).recipe.seed).toBe(4);
  });

  test('has the same bits when it is stopped anywhere and resumed', async () => {
    const folder = newFolder();
    await run(folder, { steps: 3 });
    await run(folder, { steps: 6, resume: true });
    await run(folder, { resume: true });
    expect(latestBits(folder)).toEqual(latestBits(finished));
  });

  test.each([
    ['as one graph', 'fused', recipe],
    ['with AdamW', 'sync', tinyRecipe({ optimizer: { type: 'adamw', learningRate: 0.003 } })],
  ])('%s too', async (_, schedule, what) => {
    const whole = newFolder();
    await run(whole, { schedule, steps: 6 }, what);
    const parts = newFolder();
    await run(parts, { schedule, steps: 3 }, what);
    await run(parts, { schedule, steps: 6, resume: true }, what);
    expect(latestBits(parts)).toEqual(latestBits(whole));
  });

  test('learns', async () => {
    const longer = tinyRecipe({
      network: { type: 'cifar-resnet', depth: 8, widths: [8, 8, 16, 16], classes: 10, image: [1, 8, 8] },
      schedule: { type: 'cosine', epochs: 6, warmupEpochs: 1 },
      data: { dataset: 'digits', batch: 64, normalize: { mean: [0.3], std: [0.37] } },
    });
    const { testAccuracy, testLoss } = await run(newFolder(), {}, longer);
    expect(testAccuracy).toBeGreaterThan(0.85);
    expect(testLoss).toBeLessThan(0.6);
  });

  test('keeps what the command line set when it is resumed', async () => {
    const folder = newFolder();
    await run(folder, { epochs: 2, seed: 9, steps: 3 });
    const { step } = await run(folder, { resume: true });
    expect(step).toBe(2 * stepsPerEpoch);
    expect((await readRun(folder)).recipe).toMatchObject({ seed: 9, schedule: { epochs: 2 } });
  });

  test('warns when it is resumed under other circumstances', async () => {
    const folder = newFolder();
    await run(folder, { steps: 1 });
    const warnings: string[] = [];
    const options = { folder, steps: 2, threads: 1, schedule: 'fused', resume: true };
    await train(recipe, options, { warn: (line) => warnings.push(line) });
    expect(warnings).toEqual(['schedule was sync and is now fused: results may differ in their last bits']);
  });

  test('warns where one epoch of a cosine learns nothing', async () => {
    const warnings: string[] = [];
    const once = tinyRecipe({ schedule: { type: 'cosine', epochs: 1 } });
    const options = { folder: newFolder(), steps: 1, threads: 1 };
    await train(once, options, { warn: (line) => warnings.push(line) });
    expect(warnings).toEqual([expect.stringMatching(/one epoch alone learns nothing/)]);
  });

  test('warns where the epochs end before the steps that are asked for', async () => {
    const folder = newFolder();
    const warnings: string[] = [];
    const options = { folder, epochs: 1, steps: stepsPerEpoch + 1, threads: 1 };
    const { step } = await train(recipe, options, { warn: (line) => warnings.push(line) });
    expect(step).toBe(stepsPerEpoch);
    expect(warnings).toEqual([
      `--steps: found ${stepsPerEpoch + 1}, but training ends after ${stepsPerEpoch} (epochs × steps of each: 1 × ${stepsPerEpoch})`,
    ]);
  });

  test('takes over an empty folder', async () => {
    const folder = newFolder();
    mkdirSync(folder);
    await run(folder, { steps: 1 });
    expect(latestBits(folder).step).toBe(1);
  });
});

describe('a training that diverges', () => {
  const diverging = tinyRecipe({
    optimizer: { type: 'sgd', learningRate: 1e30 },
    schedule: { type: 'constant', epochs: 2 },
  });

  test('stops, names module, head and step, and keeps the last good checkpoint', async () => {
    const folder = newFolder();
    await expect(run(folder, {}, diverging)).rejects.toMatchObject({
      code: 'LOSS_NOT_FINITE',
      exitCode: 1,
      message: expect.stringMatching(
        /^step [23]: module \d, (independent|cascade|final) (classifier|decoder): loss is (NaN|Infinity); training stopped: lower optimizer\.learningRate \(it was 1e\+30 here\)/,
      ) as string,
    });
    const { checkpoint } = await readRun(folder);
    expect(checkpoint.state.step).toBe(0);
  });

  test('writes no checkpoint of broken weights', async () => {
    const folder = newFolder();
    // Overflows in the update of the first step, whose losses are still good.
    const overflowing = tinyRecipe({
      optimizer: { type: 'sgd', learningRate: 3e38 },
      schedule: { type: 'constant', epochs: 2 },
    });
    const failed = run(folder, { checkpointEvery: 1 }, overflowing);
    await expect(failed).rejects.toMatchObject({
      code: expect.stringMatching(/^(WEIGHTS|LOSS)_NOT_FINITE$/) as string,
    });
    const { checkpoint } = await readRun(folder);
    for (const { data } of checkpoint.weights.values())
      expect((data as Float32Array).every(Number.isFinite)).toBe(true);
  });
});

describe('refusals', () => {
  const files = (folder: string) =>
    filesUnder(folder).map((file) => [file, readFileSync(path.join(folder, file), 'hex')]);

  async function refused(work: Promise<unknown>, code: string, message: RegExp): Promise<void> {
    await expect(work).rejects.toMatchObject({ code, exitCode: 2, message: expect.stringMatching(message) as string });
  }

  test('a folder that holds a run, unless it is to be resumed', async () => {
    const before = files(finished);
    await refused(run(finished), 'RUN_EXISTS', /holds a run; add --resume to go on with it/);
    expect(files(finished)).toEqual(before);
  });

  test('a folder that holds anything else, and a file', async () => {
    const folder = newFolder();
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'thesis.txt'), 'x');
    await refused(run(folder), 'OUTPUT_EXISTS', /exists and is not empty/);
    await refused(run(path.join(folder, 'thesis.txt')), 'OUTPUT_NOT_WRITABLE', /is a file/);
    expect(readdirSync(folder)).toEqual(['thesis.txt']);
  });

  test('to resume where there is no run', async () => {
    await refused(run(newFolder(), { resume: true }), 'RUN_MISSING', /no such folder; allowed: the folder of a run/);
    const empty = newFolder();
    mkdirSync(empty);
    await refused(run(empty, { resume: true }), 'RUN_MISSING', /is empty; allowed: the folder of a run/);
    expect(readdirSync(empty)).toEqual([]);
  });

  test('to resume with another recipe, naming the first difference', async () => {
    const other = tinyRecipe({ optimizer: { type: 'sgd', learningRate: 0.1 } });
    await refused(
      run(finished, { resume: true }, other),
      'RESUME_RECIPE',
      /the run has optimizer\.learningRate 0\.05, the recipe now 0\.1; allowed/,
    );
    await refused(run(finished, { resume: true, epochs: 7 }), 'RESUME_RECIPE', /schedule\.epochs 3, the recipe now 7/);
  });

  test('to resume on other images', async () => {
    const folder = path.join(root, 'other-digits');
    mkdirSync(folder);
    for (const [name, images] of Object.entries({ train: 300, t10k: 10 })) {
      writeFileSync(
        path.join(folder, `${name}-images-idx3-ubyte`),
        idxFile([images, 8, 8], new Uint8Array(64 * images)),
      );
      writeFileSync(path.join(folder, `${name}-labels-idx1-ubyte`), idxFile([images], new Uint8Array(images)));
    }
    await refused(run(finished, { resume: true, data: folder }), 'RESUME_DATA', /begun on other training images/);
  });

  test('a data set with another number of classes', async () => {
    const wrong = tinyRecipe({
      network: { type: 'cifar-resnet', depth: 8, widths: [2, 2, 4, 4], classes: 12, image: [1, 8, 8] },
    });
    const folder = newFolder();
    await refused(run(folder, {}, wrong), 'DATA_CLASSES', /network\.classes: found 12, allowed: 10/);
    expect(readdirSync(root)).not.toContain(path.basename(folder));
  });

  test('a batch that is larger than the data set, before anything is written', async () => {
    const folder = newFolder();
    const large = tinyRecipe({ data: { dataset: 'digits', batch: 2000 } });
    await refused(run(folder, {}, large), 'DATA_BATCH', /data\.batch is 2000/);
    await refused(run(folder, { lowering: 'fast' }), 'LOWERING_UNKNOWN', /fast/);
    await refused(run(folder, { data: '/no/such/folder' }), 'DATASET_MISSING', /no such folder/);
    expect(readdirSync(root)).not.toContain(path.basename(folder));
  });
});

describe('on the command line', () => {
  let file: string;
  beforeAll(() => {
    file = path.join(root, 'tiny.json');
    writeFileSync(file, JSON.stringify(tinyRecipeFile()));
  });

  test('train --json writes an event a line, the last of them done', async () => {
    const folder = newFolder();
    const { code, stdout, stderr } = await hpff(
      'train',
      file,
      '-o',
      folder,
      '--steps',
      '5',
      '--data',
      digits,
      '--json',
    );
    expect(code).toBe(0);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as TrainEvent);
    expect(lines.map(({ event }) => event)).toEqual([
      'start',
      'step',
      'epoch',
      'checkpoint',
      'step',
      'evaluation',
      'checkpoint',
      'done',
    ]);
    expect(lines.at(-1)).toMatchObject({ event: 'done', step: 5, testAccuracy: expect.any(Number) as number });
    expect(stderr).toMatch(/step 5\/5 {2}loss \d+\.\d{4} {2}\d+ images\/s {2}epoch 2/);
    expect(metricsOf(folder)).toHaveLength(4);

    const evaluated = await hpff('eval', folder, '--json');
    const { testAccuracy, testLoss } = lines.at(-1) as TrainEvent & { event: 'done' };
    expect(JSON.parse(evaluated.stdout)).toMatchObject({ accuracy: testAccuracy, loss: testLoss, images: 360 });
    expect(keysOf(JSON.parse(evaluated.stdout))).toEqual(documentedKeys('eval'));
    const documented = documentedEvents();
    for (const { event, step: _, ...rest } of lines) {
      const asynchronous = event === 'step' ? ['stages'] : [];
      expect([...Object.keys(rest), ...asynchronous].sort(), event).toEqual(documented.get(event));
    }
  });

  test('train ends with the test accuracy', async () => {
    const { code, stdout } = await hpff('train', file, '-o', newFolder(), '--epochs', '1', '--threads', '1');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^test accuracy 0\.\d{4} \(\d+ of 360\), loss \d+\.\d{4}, after 4 steps\n$/);
  });

  test('a resumed run that has no steps left says so', async () => {
    const resumed = ['train', file, '-o', finished, '--resume', '--threads', '1', '--steps'];
    const past = await hpff(...resumed, '5');
    expect(past).toMatchObject({ code: 0, stdout: expect.stringMatching(/, after 12 steps\n$/) as string });
    expect(past.stderr).toMatch(/^nothing is left to train: the run is at step 12 and was to end at step 5$/m);
    expect((await hpff(...resumed, '12')).stderr).toMatch(/^nothing is left to train/m);
  });

  test('refusals have exit code 2 and one line', async () => {
    const existing = await hpff('train', file, '-o', finished);
    expect(existing).toMatchObject({ code: 2, stdout: '' });
    expect(existing.stderr).toMatch(/^hpff: RUN_EXISTS: [^\n]+\n$/);
    expect(await hpff('train', file)).toMatchObject({ code: 2, stdout: '' });
    expect(await hpff('train', file, '-o', newFolder(), '--delay', '1')).toMatchObject({ code: 2, stdout: '' });
    expect(await hpff('eval', path.join(root, 'nothing'))).toMatchObject({ code: 2, stdout: '' });
    expect(await hpff('eval', root)).toMatchObject({ code: 2, stdout: '' });
    expect(await hpff('eval', finished, '--dataset', 'imagenet')).toMatchObject({ code: 2, stdout: '' });
  });
});
