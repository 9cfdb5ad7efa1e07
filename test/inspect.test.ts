/** `hpff inspect`: the memory of a step, as the graphs predict it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { predictStepMemory } from '../src/artifacts/index.js';
import { blocked, type Lowering, portable } from '../src/lower/index.js';
import { hpff } from './cli.js';
import { documentedKeys, keysOf } from './support/json-keys.js';
import { tinyRecipe, tinyRecipeFile } from './support/training.js';

let folder: string;
let recipe: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'hpff-inspect-'));
  recipe = path.join(folder, 'tiny.json');
  writeFileSync(recipe, JSON.stringify(tinyRecipeFile({ name: 'tiny' })));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Inspected {
  readonly batch: number;
  readonly memory: readonly {
    readonly schedule: string;
    readonly lowering: string;
    readonly block: number | null;
    readonly predictedBytes: number;
    readonly headBytes?: number;
  }[];
}

async function inspect(subject: string, ...options: string[]): Promise<Inspected> {
  const { code, stdout, stderr } = await hpff('inspect', subject, '--json', ...options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Inspected;
}

const bytes = (schedule: 'fused' | 'sync', lowering: Lowering, batch = 300): number =>
  predictStepMemory(tinyRecipe(), { schedule, lowering, batch }).peakBytes;

describe('the memory of a step', () => {
  test('is told for both schedules, blocked', async () => {
    const { memory } = await inspect(recipe);
    expect(memory).toMatchObject([
      { schedule: 'sync', lowering: 'blocked', block: 8, predictedBytes: bytes('sync', blocked(8)) },
      { schedule: 'fused', lowering: 'blocked', block: 8, predictedBytes: bytes('fused', blocked(8)) },
    ]);
  });

  test('has that of heads where graphs are theirs alone', async () => {
    const { memory } = await inspect(recipe);
    expect(memory[0]!.headBytes).toBeGreaterThan(0);
    expect(memory[1]).not.toHaveProperty('headBytes');
  });

  test('is told for the schedule, lowering and batch that are asked for', async () => {
    const { batch, memory } = await inspect(recipe, '--schedule', 'fused', '--lowering', 'portable', '--batch', '40');
    const predictedBytes = bytes('fused', portable, 40);
    expect({ batch, memory }).toMatchObject({
      batch: 40,
      memory: [{ schedule: 'fused', lowering: 'portable', block: null, predictedBytes }],
    });
    expect(predictedBytes).toBeLessThan(bytes('fused', portable) / 4);
  });

  test('is told for the lowering and the batch of an artifact folder', async () => {
    const built = path.join(folder, 'built');
    expect((await hpff('build', recipe, '-o', built, '--lowering', 'portable', '--batch', '20')).code).toBe(0);
    const { batch, memory } = await inspect(built, '--schedule', 'sync');
    expect({ batch, memory }).toMatchObject({
      batch: 20,
      memory: [{ lowering: 'portable', predictedBytes: bytes('sync', portable, 20) }],
    });
  });

  test('is a line of the text', async () => {
    const { stdout } = await hpff('inspect', recipe, '--lowering', 'portable');
    const mebibytes = (schedule: 'fused' | 'sync'): string => (bytes(schedule, portable) / 2 ** 20).toPrecision(3);
    const { headBytes } = predictStepMemory(tinyRecipe(), { schedule: 'sync', lowering: portable, batch: 300 });
    const heads = `the heads of a module: ${(headBytes / 2 ** 20).toPrecision(3)} MiB`;
    expect(stdout.split('\n')).toContain(
      `Peak memory of a step beyond the weights, predicted: ${mebibytes('sync')} MiB (sync, portable; ${heads}), ${mebibytes('fused')} MiB (fused, portable).`,
    );
  });

  test.each([
    ['--schedule', 'later', 'fused, sync'],
    ['--lowering', 'fast', 'auto, portable, blocked'],
  ])('%s %s is refused', async (option, value, allowed) => {
    const { code, stderr } = await hpff('inspect', recipe, option, value);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: `hpff: USAGE: ${option}: found "${value}", allowed: ${allowed}\n`,
    });
  });
});

test('a model is refused, with what is taken instead', async () => {
  const model = path.join(folder, 'model.onnx');
  writeFileSync(model, '');
  const { code, stdout, stderr } = await hpff('inspect', model);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toBe(
    `hpff: INSPECT_MODEL: ${model}: found an ONNX model, allowed: a recipe, an artifact folder or a run folder (hpff eval measures a model)\n`,
  );
  expect((await hpff('inspect', path.join(folder, 'none.onnx'))).stderr).toMatch(/^hpff: FILE_MISSING: /);
});

test('a measured split has the modules that are asked for and can be pasted into a recipe', async () => {
  const { measured } = (await inspect(recipe, '--measure', '--modules', '2', '--lowering', 'portable')) as Inspected & {
    measured: { lowering: string; boundaries: string[]; milliseconds: number[] };
  };
  expect(measured).toMatchObject({ lowering: 'portable', boundaries: [expect.any(String), 'layer3.0'] });
  expect(Math.min(...measured.milliseconds)).toBeGreaterThan(0);
  const split = { boundaries: measured.boundaries };
  const pasted = path.join(folder, 'pasted.json');
  writeFileSync(pasted, JSON.stringify(tinyRecipeFile({ name: 'tiny', split })));
  expect((await hpff('inspect', pasted)).code).toBe(0);
});

test.each([
  [['--modules', '2'], 'MEASURE_OPTION: --modules: found without --measure, allowed: with --measure only'],
  [
    ['--measure', '--modules', '4'],
    'MEASURE_MODULES: --modules: found 4, allowed: 1 to 3, the blocks of tiny behind which its heads fit',
  ],
])('inspect %j is refused', async (options, message) => {
  const { code, stdout, stderr } = await hpff('inspect', recipe, ...options);
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: `hpff: ${message}\n` });
});

test('docs/json.md lists the keys of its JSON', async () => {
  expect(keysOf(await inspect(recipe, '--measure'))).toEqual(documentedKeys('inspect'));
});
