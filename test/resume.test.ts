/**
 * A run that is killed and resumed ends like one that was not: at every single write, at every step, in every evaluation. A toy
 * engine stands in for the real one, so that hundreds of deaths take seconds; `train.test.ts` has the real one.
 */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type * as local from '../src/local/index.js';
import type * as pipeline from '../src/pipeline/index.js';
import type { Recipe } from '../src/recipe/index.js';
import { readRun, train, type TrainOptions } from '../src/train/index.js';
import { dieAtChange, revive } from './support/dying-file-system.js';
import { hooks } from './support/toy-engine.js';
import { filesUnder, latestBits, metricsOf, tinyRecipe } from './support/training.js';

vi.mock('node:fs/promises', async (importOriginal) => {
  const { dyingFileSystem } = await import('./support/dying-file-system.js');
  return dyingFileSystem(await importOriginal());
});
vi.mock('../src/local/index.js', async (importOriginal) => {
  const real = await importOriginal<typeof local>();
  let drawn: ReturnType<typeof real.initialWeights> | undefined; // drawn once for all runs: they have one recipe
  return { ...real, initialWeights: (recipe: Recipe) => (drawn ??= real.initialWeights(recipe)) };
});
vi.mock('../src/pipeline/index.js', async (original) => {
  const { openToyEngine } = await import('./support/toy-engine.js');
  return { ...(await original<typeof pipeline>()), openEngine: openToyEngine };
});

// More than a hundred runs.
vi.setConfig({ testTimeout: 120_000 });

const recipe = tinyRecipe({ schedule: { type: 'cosine', epochs: 2 } });
/** 8 steps, checkpoints at 0 3 4 6 8, lines of 3 steps or what an epoch leaves. */
const pace = { checkpointEvery: 3, logEvery: 3 };
const totalSteps = 8;

/** Where syncing costs nothing. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
let root: string;
let undisturbed: ReturnType<typeof outcome>;
let count = 0;

const outcome = (folder: string) => ({
  bits: latestBits(folder),
  metrics: metricsOf(folder),
  checkpoints: [...new Set(filesUnder(path.join(folder, 'checkpoints')).map((file) => file.split('/')[0]))],
});
const newFolder = (): string => path.join(root, String(count++));
const start = (folder: string, options: Partial<TrainOptions> = {}) => train(recipe, { folder, ...pace, ...options });
const resume = (folder: string, options: Partial<TrainOptions> = {}) => {
  bury(folder);
  return start(folder, { resume: true, ...options });
};
/** Makes the lock of a run that "died" in this process one of a process that is no more. */
function bury(folder: string): void {
  const lock = path.join(folder, 'lock');
  if (!existsSync(lock)) return;
  writeFileSync(lock, JSON.stringify({ ...JSON.parse(readFileSync(lock, 'utf8')), started: 'before' }));
}

beforeAll(async () => {
  root = mkdtempSync(path.join(memory, 'hpff-resume-'));
  const folder = newFolder();
  await start(folder);
  undisturbed = outcome(folder);
});
afterAll(() => rmSync(root, { recursive: true }));
beforeEach(() => {
  hooks.beforeStep = hooks.beforeEvaluate = undefined;
});
afterEach(() => void revive());

test('the undisturbed run is what the other tests take it for', () => {
  expect(undisturbed.bits.step).toBe(totalSteps);
  expect(undisturbed.metrics.map(({ event, step }) => `${event} ${step}`)).toEqual([
    'step 3',
    'step 4',
    'epoch 4',
    'step 7',
    'step 8',
    'epoch 8',
  ]);
  expect(undisturbed.checkpoints).toEqual(['6', '8']);
});

test('killed at any change of the disk, a run is absent or whole, and goes on to the same end', async () => {
  let absent = 0;
  let deaths = 0;
  for (let change = 1; ; change++) {
    const folder = newFolder();
    dieAtChange(change);
    const ended = await start(folder).then(
      () => 'finished',
      () => 'killed',
    );
    const changes = revive();
    if (ended === 'finished') {
      expect(changes, 'the last change removes the lock, which may fail').toBe(change);
      expect(outcome(folder)).toEqual(undisturbed);
      break;
    }
    deaths++;
    const run = await readRun(folder).catch((error: { code: string }) => error.code);
    if (typeof run === 'string') {
      expect(run, `change ${change}`).toBe('RUN_MISSING');
      expect(deaths - absent, 'a run that was there does not vanish').toBe(1);
      absent++;
      continue;
    }
    await resume(folder);
    expect(outcome(folder), `change ${change}`).toEqual(undisturbed);
    expect(filesUnder(folder).filter((file) => file.includes('.hpff-'))).toEqual([]);
  }
  expect(absent).toBeGreaterThan(5);
  expect(deaths - absent).toBeGreaterThan(80);
});

test('killed again and again while it resumes, it still comes to the same end', async () => {
  const folder = newFolder();
  dieAtChange(30);
  await start(folder).catch(() => undefined);
  for (let change = 1; change < 60; change += 6) {
    dieAtChange(change);
    await resume(folder).catch(() => undefined);
  }
  revive();
  await resume(folder);
  expect(outcome(folder)).toEqual(undisturbed);
});

describe('stopped by a signal', () => {
  const stopped = (folder: string, signal: AbortSignal, resumes = false) =>
    expect(start(folder, { signal, resume: resumes })).rejects.toMatchObject({
      code: 'TRAIN_INTERRUPTED',
      exitCode: 1,
    });

  test('after any step, it leaves a checkpoint of that step and goes on to the same end', async () => {
    for (let last = 1; last <= totalSteps; last++) {
      const folder = newFolder();
      const controller = new AbortController();
      hooks.beforeStep = (step) => step === last && controller.abort();
      await stopped(folder, controller.signal);
      expect(latestBits(folder).step).toBe(last);
      hooks.beforeStep = undefined;
      await resume(folder);
      expect(outcome(folder).bits, `step ${last}`).toEqual(undisturbed.bits);
      expect(metricsOf(folder), `step ${last}`).toEqual(undisturbed.metrics);
    }
  });

  test('in any evaluation, it does not wait for its end', async () => {
    for (const wanted of [1, 2]) {
      const folder = newFolder();
      const controller = new AbortController();
      let evaluated = 0;
      hooks.beforeEvaluate = () => void (++evaluated === wanted && controller.abort());
      await stopped(folder, controller.signal);
      expect(evaluated).toBe(wanted);
      hooks.beforeEvaluate = undefined;
      await resume(folder);
      expect(outcome(folder).bits).toEqual(undisturbed.bits);
      expect(metricsOf(folder)).toEqual(undisturbed.metrics);
    }
  });

  test('before the first step, it makes no folder', async () => {
    const folder = newFolder();
    await stopped(folder, AbortSignal.abort());
    await expect(readRun(folder)).rejects.toMatchObject({ code: 'RUN_MISSING' });
  });
});

test('an evaluation that is recorded but in no checkpoint is recorded once', async () => {
  const folder = newFolder();
  const controller = new AbortController();
  hooks.beforeEvaluate = () => controller.abort();
  await start(folder, { signal: controller.signal }).catch(() => undefined);
  hooks.beforeEvaluate = undefined;
  // The next process records the evaluation of step 4 and dies at each of its next changes.
  for (let change = 1; change < 20; change++) {
    const copy = newFolder();
    cpSync(folder, copy, { recursive: true });
    dieAtChange(change);
    await resume(copy).catch(() => undefined);
    revive();
    await resume(copy);
    expect(metricsOf(copy), `change ${change}`).toEqual(undisturbed.metrics);
  }
});

test('a run that was limited by --steps goes on when it is given more', async () => {
  const folder = newFolder();
  const first = await start(folder, { steps: 5 });
  expect(first.step).toBe(5);
  expect(metricsOf(folder).at(-1)).toMatchObject({ event: 'evaluation', step: 5, epoch: 2 });
  expect((await resume(folder, { steps: 5 })).step).toBe(5);
  expect((await resume(folder)).step).toBe(totalSteps);
  expect(latestBits(folder)).toEqual(undisturbed.bits);
});

test('a finished run is resumed without a change and reports its accuracy again', async () => {
  const folder = newFolder();
  const result = await start(folder);
  const before = outcome(folder);
  expect(await resume(folder)).toEqual(result);
  expect(outcome(folder)).toEqual(before);
});
