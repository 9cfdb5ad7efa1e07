/** What training does where a loss or a weight is no number. A toy engine stands in for the real one, whose losses are as the test says. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type * as pipeline from '../src/pipeline/index.js';
import { leaveOut } from '../src/train/recovery.js';
import { readSessions, train, type TrainEvent, type TrainOptions } from '../src/train/index.js';
import type { NamedTensors } from '../src/files/tensor.js';
import { hooks } from './support/toy-engine.js';
import { latestBits, metricsOf, tinyRecipe } from './support/training.js';

vi.mock('../src/pipeline/index.js', async (original) => {
  const { openToyEngine } = await import('./support/toy-engine.js');
  return { ...(await original<typeof pipeline>()), openEngine: openToyEngine };
});

/** 8 steps in two epochs, checkpoints at 0 3 4 6 8, lines of 3 steps or what an epoch leaves. */
const recipe = tinyRecipe({ schedule: { type: 'cosine', epochs: 2 } });
const pace = { checkpointEvery: 3, logEvery: 3 };
/** 80 steps. */
const longer = tinyRecipe({ schedule: { type: 'constant', epochs: 20 } });

const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
let root: string;
let count = 0;
/** Steps that were run, in order; engines count updates, so their images tell which they are. */
let ran: number[] = [];
const stepWith = new Map<number, number>();
let warnings: string[] = [];
const newFolder = (): string => path.join(root, String(count++));
const start = (folder: string, options: Partial<TrainOptions> = {}, event?: (event: TrainEvent) => void) =>
  train(recipe, { folder, ...pace, ...options }, { warn: (line) => warnings.push(line), ...(event ? { event } : {}) });
const linesOf = (folder: string): string[] => metricsOf(folder).map(({ event, step }) => `${event} ${step}`);

beforeAll(async () => {
  root = mkdtempSync(path.join(memory, 'hpff-nan-'));
  hooks.loss = (loss, images) => {
    stepWith.set(images, stepWith.size + 1);
    return loss;
  };
  await train(longer, { folder: newFolder() });
  expect(stepWith.size).toBe(80);
});
afterAll(() => rmSync(root, { recursive: true }));
beforeEach(() => {
  ran = [];
  warnings = [];
  hooks.beforeStep = undefined;
  lossesAre((loss) => loss);
});

/** What the loss of each step becomes. */
function lossesAre(given: (loss: number, step: number, weights: NamedTensors) => number): void {
  hooks.loss = (loss, images, weights) => {
    const step = stepWith.get(images)!;
    ran.push(step);
    return given(loss, step, weights);
  };
}

const brokenAt = (...steps: number[]): void => {
  lossesAre((loss, step) => (steps.includes(step) ? NaN : loss));
};

describe('a loss that is no number', () => {
  test('ends the run, unless it is told otherwise', async () => {
    brokenAt(6);
    const folder = newFolder();
    await expect(start(folder)).rejects.toMatchObject({ code: 'LOSS_NOT_FINITE', exitCode: 1 });
    expect(latestBits(folder).step).toBe(4);
  });

  test('skip: comes again from the last checkpoint, without that step', async () => {
    brokenAt(6);
    const folder = newFolder();
    const told: string[] = [];
    const { step } = await start(folder, { onNan: 'skip' }, (event) => told.push(`${event.event} ${event.step}`));
    expect(step).toBe(8);
    expect(ran).toEqual([1, 2, 3, 4, 5, 6, 5, 7, 8]);
    expect(told).toContain('skipped 6');
    expect(linesOf(folder)).toEqual(['step 3', 'step 4', 'epoch 4', 'skipped 6', 'step 7', 'step 8', 'epoch 8']);
    expect(metricsOf(folder).find(({ step: at }) => at === 7)).toMatchObject({ steps: 2 });
    expect(warnings).toEqual([
      'step 6: module 2, final classifier: loss is NaN; training goes on from the checkpoint of step 4, without step 6',
    ]);
  });

  test('rollback: goes on from the last checkpoint with the images that come next', async () => {
    brokenAt(6);
    const folder = newFolder();
    await start(folder, { onNan: 'rollback' });
    expect(ran).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(linesOf(folder)).toEqual([
      'step 3',
      'step 4',
      'epoch 4',
      'skipped 5',
      'skipped 6',
      'step 7',
      'step 8',
      'epoch 8',
    ]);
    expect(warnings[0]).toMatch(/from the checkpoint of step 4, without steps 5 to 6$/);
  });

  test('in the first and in the last step of an epoch', async () => {
    brokenAt(1, 4, 8);
    const folder = newFolder();
    await start(folder, { onNan: 'skip' });
    expect(ran).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 7]);
    expect(linesOf(folder)).toEqual(['skipped 1', 'step 3', 'skipped 4', 'epoch 4', 'step 7', 'skipped 8', 'epoch 8']);
  });

  test.each(['skip', 'rollback'] as const)(
    '%s: a run that is stopped and resumed in between has the same bits',
    async (onNan) => {
      brokenAt(6);
      const whole = newFolder();
      await start(whole, { onNan });
      for (const last of [2, 4, 5, 6, 7]) {
        const folder = newFolder();
        const stop = new AbortController();
        lossesAre((loss, step) => {
          if (step === last) stop.abort();
          return step === 6 ? NaN : loss;
        });
        await expect(start(folder, { onNan, signal: stop.signal })).rejects.toMatchObject({
          code: 'TRAIN_INTERRUPTED',
        });
        await start(folder, { onNan, resume: true });
        expect(latestBits(folder), `stopped in step ${last}`).toEqual(latestBits(whole));
        expect(linesOf(folder)).toEqual(linesOf(whole));
      }
    },
  );

  test('the updates that are made are counted without those that are left out', async () => {
    brokenAt(6);
    const counts: number[] = [];
    hooks.beforeStep = (update) => counts.push(update);
    const { skippedSteps } = await start(newFolder(), { onNan: 'skip' });
    expect(counts).toEqual([1, 2, 3, 4, 5, 6, 5, 6, 7]);
    expect(skippedSteps).toBe(1);
  });

  test('a return is no session of its own', async () => {
    brokenAt(2, 6);
    const folder = newFolder();
    await start(folder, { onNan: 'skip' });
    expect(await readSessions(folder)).toHaveLength(1);
  });

  test('ten times without a checkpoint in between, it ends the run', async () => {
    lossesAre(() => Infinity);
    const error = {
      code: 'LOSS_NOT_FINITE',
      message: expect.stringMatching(/loss is Infinity; training stopped/) as string,
    };
    for (const onNan of ['skip', 'rollback'] as const) {
      warnings = [];
      const attempt = train(longer, { folder: newFolder(), onNan }, { warn: (line) => warnings.push(line) });
      await expect(attempt).rejects.toMatchObject(error);
      expect(warnings).toHaveLength(9);
    }
  });

  test('with checkpoints in between, it goes on for as long as it takes', async () => {
    lossesAre((loss, step) => (step % 4 === 2 ? NaN : loss));
    const { step } = await train(
      longer,
      { folder: newFolder(), onNan: 'skip' },
      { warn: (line) => warnings.push(line) },
    );
    expect([step, warnings.length]).toEqual([80, 20]);
  });
});

describe('weights that are no numbers', () => {
  /** A step after which a weight is NaN, though its loss is none. */
  const breaksWeights = (...steps: number[]): void => {
    lossesAre((loss, step, weights) => {
      if (!steps.includes(step)) return loss;
      (weights.get('fc.weight')!.data as Float32Array)[0] = NaN;
      return 1;
    });
  };

  test('skip leaves out the step before too, as soon as it is clear that it is the cause', async () => {
    breaksWeights(5);
    const folder = newFolder();
    await start(folder, { onNan: 'skip' });
    // No checkpoint of step 6, which was left out for what 5 had done.
    expect(ran).toEqual([1, 2, 3, 4, 5, 6, 5, 7, 8]);
    expect(warnings.at(-1)).toMatch(/^step 7: .*: loss is NaN; .* of step 4, without steps 5 to 7$/);
    expect(latestBits(folder).step).toBe(8);
  });

  test('at a checkpoint, the step just done is left out', async () => {
    breaksWeights(6);
    await start(newFolder(), { onNan: 'skip' });
    expect(ran).toEqual([1, 2, 3, 4, 5, 6, 5, 7, 8]);
    expect(warnings).toEqual([expect.stringMatching(/^step 6: fc\.weight holds NaN at 0; .*, without step 6$/)]);
  });

  test.each(['stop', 'skip'] as const)('%s: the last step has no checkpoint before it is evaluated', async (onNan) => {
    breaksWeights(1);
    const folder = newFolder();
    const error = { code: 'LOSS_NOT_FINITE', message: expect.stringMatching(/^step 1: test loss is NaN; /) as string };
    await expect(start(folder, { onNan, steps: 1, checkpointEvery: 1 })).rejects.toMatchObject(error);
    expect(latestBits(folder).step).toBe(0);
    expect(warnings).toEqual([]);
  });
});

test.each(['skip', 'rollback'] as const)(
  '%s: a training of which no step would be left ends with the error',
  async (onNan) => {
    lossesAre(() => NaN);
    await expect(start(newFolder(), { onNan })).rejects.toMatchObject({ code: 'LOSS_NOT_FINITE' });
  },
);

test('other policies are refused', async () => {
  const onNan = 'ignore' as 'skip';
  await expect(start(newFolder(), { onNan })).rejects.toMatchObject({
    code: 'TRAIN_OPTION',
    message: 'train: onNan is ignore; allowed: stop, skip, rollback',
  });
});

test.each<[string, number[], number, number, number[]]>([
  ['a step', [], 0, 5, [5]],
  ['one far from others', [2], 0, 5, [5]],
  ['one behind others: the step before them too', [4], 0, 5, [3, 5]],
  ['one that is left out already: the step before', [5], 0, 5, [4]],
  ['the first after a checkpoint', [], 4, 5, [5]],
  ['the second, where the first is left out', [5], 4, 6, [6]],
  ['nothing, where all is left out', [5, 6], 4, 6, []],
])('skip leaves out %s', (_name, before, checkpoint, step, added) => {
  expect(leaveOut('skip', new Set(before), checkpoint, step)).toEqual({
    added,
    all: [...before, ...added].filter((each) => each > checkpoint).sort((a, b) => a - b),
  });
});
