/** The parts of a comparison that need no training. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { tinyRecipe } from '../../test/support/training.js';
import { differencesOf } from './conditions.js';
import { comparedRecipes, type ComparedRun, type Comparison } from './document.js';
import { markdown, table } from './markdown.js';
import type { SharedOptions } from './messages.js';
import { plannedRuns } from './order.js';
import { comparisonPage } from './page.js';
import { takeFolder } from './plan.js';
import { accuracyPlot } from './plot.js';
import { statistic } from './statistics.js';
import { subjectsOf } from './subjects.js';

test('seed after seed, recipes forwards and backwards', () => {
  const order = plannedRuns(3, [5, 6, 7]).map(({ recipe, seed }) => `${seed}:${recipe}`);
  expect(order).toEqual(['5:0', '5:1', '5:2', '6:2', '6:1', '6:0', '7:0', '7:1', '7:2']);
});

test('mean and standard deviation of a sample', () => {
  expect(statistic([])).toBeNull();
  expect(statistic([0.5])).toEqual({ mean: 0.5, sd: null, count: 1 });
  expect(statistic([1, 2, 3, 6])).toEqual({ mean: 3, sd: Math.sqrt(14 / 3), count: 4 });
});

describe('subjectsOf', () => {
  const named = (file: string, name: string, batch = 300) => ({
    file,
    recipe: tinyRecipe({ name, data: { dataset: 'digits', batch, normalize: { mean: [0.3], std: [0.37] } } }),
  });

  it('names recipes and their folders', () => {
    const subjects = subjectsOf([named('a.json', 'one'), named('b.json', '../two / three', 100)]);
    expect(subjects.map(({ label, folder }) => [label, folder])).toEqual([
      ['one', 'one'],
      ['../two / three', 'two-three'],
    ]);
  });

  it('tells recipes of one name apart by their files', () => {
    const subjects = subjectsOf([
      named('x/a.json', 'one'),
      named('x/b.json', 'one', 100),
      named('y/a.json', 'one', 50),
    ]);
    expect(subjects.map(({ label }) => label)).toEqual(['one (x/a.json)', 'one (x/b.json)', 'one (y/a.json)']);
    const folders = subjects.map(({ folder }) => folder);
    expect(folders).toEqual([
      expect.stringMatching(/^one-a-[0-9a-f]{8}$/),
      'one-b',
      expect.stringMatching(/^one-a-[0-9a-f]{8}$/),
    ]);
    expect(new Set(folders).size).toBe(3);
  });

  it('gives a recipe the same folder in whatever order', () => {
    const given = [named('x/a.json', 'one'), named('x/b.json', 'one', 100), named('y/a.json', 'One', 50), named('z.json', 'one-b', 25)]; // prettier-ignore
    const folders = (order: typeof given) =>
      Object.fromEntries(subjectsOf(order).map(({ file, folder }) => [file, folder]));
    expect(folders(given.toReversed())).toEqual(folders(given));
  });

  it("gives no recipe a folder with the name of one of the comparison's own files", () => {
    const subjects = subjectsOf([named('a.json', 'Comparison.json'), named('b.json', 'lock', 100)]);
    expect(subjects.map(({ folder }) => folder)).toEqual([
      expect.stringMatching(/^Comparison\.json-[0-9a-f]{8}$/),
      expect.stringMatching(/^lock-[0-9a-f]{8}$/),
    ]);
  });

  it('shortens long names, but cuts no character in two', () => {
    const [long, astral] = subjectsOf([named('a.json', 'ü'.repeat(200)), named('b.json', `x${'𝒳'.repeat(90)}`, 100)]);
    expect(long!.folder).toBe('ü'.repeat(80));
    expect(astral!.folder).toBe(`x${'𝒳'.repeat(39)}`);
  });

  it('keeps folders apart where names differ in what folders cannot have', () => {
    const subjects = subjectsOf([named('a.json', 'One'), named('b.json', 'one', 100), named('c.json', '///', 50)]);
    expect(subjects.map(({ folder }) => folder)).toEqual([
      expect.stringMatching(/^One-[0-9a-f]{8}$/),
      expect.stringMatching(/^one-[0-9a-f]{8}$/),
      'recipe',
    ]);
  });

  it('refuses none, and two that say the same', () => {
    expect(() => subjectsOf([])).toThrow(/allowed: one at least/);
    expect(() => subjectsOf([named('a.json', 'one'), named('b.json', 'two')])).toThrow(
      /a\.json and b\.json: say the same/,
    );
  });
});

test('differences are told apart by method and conditions', () => {
  const bp = tinyRecipe({ local: { rule: 'bp' }, name: 'bp', seed: 9 });
  const other = tinyRecipe({ optimizer: { type: 'sgd', learningRate: 0.5 } });
  const { method, conditions } = differencesOf([bp, other]);
  expect(conditions).toEqual([{ path: 'optimizer.learningRate', values: ['0.05', '0.5'] }]);
  expect(method).toContainEqual({ path: 'local.rule', values: ['"bp"', '"infopro"'] });
  expect(method).toContainEqual({ path: 'local.patches.grid', values: [null, '2'] });
  expect(method.map((each) => each.path)).not.toContain('local.patches');
});

describe('takeFolder', () => {
  let root: string;
  beforeEach(() => void (root = mkdtempSync(path.join(tmpdir(), 'hpff-plan-'))));
  afterEach(() => rmSync(root, { recursive: true }));

  /** Takes the folder and leaves it. */
  async function take(folder: string, options: SharedOptions): Promise<void> {
    await using _lock = await takeFolder(folder, options);
  }

  it('goes on with the same options only; data may lie elsewhere', async () => {
    const folder = path.join(root, 'new');
    await take(folder, { epochs: 3, threads: 2, data: '/a' });
    await take(folder, { threads: 2, epochs: 3, data: '/b' });
    await expect(take(folder, { epochs: 4, threads: 2 })).rejects.toMatchObject({
      code: 'COMPARE_OPTIONS',
      message: expect.stringMatching(/^--epochs: found 4, but .* was begun with 3; allowed: /) as string,
    });
    await expect(take(folder, { epochs: 3, threads: 2, steps: 5 })).rejects.toMatchObject({ code: 'COMPARE_OPTIONS' });
    expect(readdirSync(folder)).toEqual(['comparison-settings.json']);
  });

  it('refuses a folder with anything else in it, and settings that are broken', async () => {
    writeFileSync(path.join(root, 'mine.txt'), 'mine');
    await expect(take(root, {})).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    expect(readdirSync(root)).toEqual(['mine.txt']);
    writeFileSync(path.join(root, 'comparison-settings.json'), '{"formatVersion":2,"options":{}}');
    await expect(take(root, {})).rejects.toMatchObject({ code: 'COMPARE_SETTINGS' });
    expect(readFileSync(path.join(root, 'mine.txt'), 'utf8')).toBe('mine');
  });

  it('refuses a second comparison while the first goes on, with whatever options', async () => {
    const lock = await takeFolder(root, { epochs: 1 });
    for (const options of [{ epochs: 1 }, { epochs: 2 }]) {
      await expect(take(root, options)).rejects.toMatchObject({
        code: 'LOCKED',
        message: `${root}: process ${process.pid} works there; allowed: one at a time`,
      });
    }
    expect(readdirSync(root).sort()).toEqual(['comparison-settings.json', 'lock']);
    await lock[Symbol.asyncDispose]();
    await take(root, { epochs: 1 });
  });

  it('takes a folder over in which a comparison was killed before or while it wrote', async () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    writeFileSync(path.join(root, 'lock'), JSON.stringify({ host: hostname(), pid: dead, started: 'x', token: 'x' }));
    writeFileSync(path.join(root, '.hpff-0123456789abcdef.tmp'), '{"for');
    await take(root, {});
    expect(readdirSync(root)).toEqual(['comparison-settings.json']);
  });
});

const run = (seed: number, testAccuracy: number | null, more: Partial<ComparedRun> = {}): ComparedRun => ({
  seed, folder: `f/seed-${seed}`, status: 'done', reason: null, step: 12, testAccuracy, testLoss: 1, bestTestAccuracy: testAccuracy, trainLoss: 1,
  stepSeconds: seed / 10, trainSeconds: 2, peakBytes: seed * 2 ** 20, curve: [{ step: 12, epoch: 3, testAccuracy: testAccuracy ?? 0, testLoss: 1 }], ...more,
}); // prettier-ignore

const facts = (name: string) => ({
  name,
  file: `${name}.json`,
  folder: name,
  modules: 3,
  parameters: 1234,
  headParameters: 56,
});

const hostile = 'a|b <script>alert(1)</script> & "c"';

const recipes = comparedRecipes(
  [facts('first'), facts(hostile), facts('none')],
  [
    [run(1, 0.5), run(2, 0.7), run(3, 0.9)],
    [run(1, 0.6), run(2, null, { status: 'failed', reason: 'LOSS_NOT_FINITE: at step 3' }), run(3, 0.8)],
    [run(1, null, { status: 'waiting', step: 0, curve: [] })],
  ],
);

const comparison: Comparison = {
  hpff: '0', complete: false, seeds: [1, 2, 3], options: { epochs: 3, threads: 1 }, machines: [],
  conditions: [{ path: 'data.batch', values: ['1', '2', null] }], method: [], recipes,
}; // prettier-ignore

test('sums up the runs that are done, and compares seed by seed', () => {
  expect(recipes[0]).toMatchObject({
    testAccuracy: { mean: expect.closeTo(0.7, 9) as number, count: 3 },
    difference: null,
    stepSeconds: 0.2,
  });
  expect(recipes[1]).toMatchObject({ testAccuracy: { count: 2 }, stepSeconds: 0.2, peakBytes: 3 * 2 ** 20 });
  const { mean, sd, count } = recipes[1]!.difference!;
  expect([mean, sd, count]).toEqual([expect.closeTo(0, 9), expect.closeTo(Math.sqrt(0.02), 9), 2]);
  expect(recipes[2]).toMatchObject({ testAccuracy: null, difference: null, stepSeconds: null, peakBytes: null });
});

test('the Markdown has a row for each recipe, says what failed, and no name is markup', () => {
  const text = markdown(comparison, 'plot.svg');
  expect(text).toMatch(/^\| first +\| +3 \| +70\.00 ± 20\.00 \|/m);
  expect(text).toContain(
    String.raw`a\|b \<script\>alert(1)\</script\> & "c", seed 2: failed after step 12: LOSS\_NOT\_FINITE: at step 3`,
  );
  expect(text).toContain('- none, seed 1: has not begun');
  expect(text).toContain('Conditions differ: data.batch.');
  expect(text).not.toMatch(/[^\\]<script/);
  const rows = table(['a', 'b'], [['x|y', '1']]).split('\n');
  expect(rows).toEqual([String.raw`| a    |   b |`, '| ---- | --: |', String.raw`| x\|y |   1 |`]);
});

test('the plot and the page show names as text, and hold together without results', async () => {
  const svg = accuracyPlot(recipes);
  expect(svg.match(/class="mean"/g)).toHaveLength(2);
  expect(svg.match(/class="seed"/g)).toHaveLength(5);
  expect(svg).toContain('no run is done');
  expect(svg).not.toContain('<script');
  expect(svg).not.toContain('NaN');
  const page = await comparisonPage(comparison);
  expect(page).not.toContain('<script>alert');
  expect(page).toContain('Not complete.');
  expect(accuracyPlot(recipes.slice(2))).not.toMatch(/NaN|Infinity/);
});

test('the plot cuts names that would not fit beside it, but no character', () => {
  const labels = ['a'.repeat(200), '😀'.repeat(90), '数'.repeat(40)].map((name) => {
    const svg = accuracyPlot(comparedRecipes([facts(name)], [[run(1, 0.5)]]));
    return /<\/title>([^<]*)<\/text>/.exec(svg)![1]!;
  });
  expect(labels).toEqual([`${'a'.repeat(32)}…`, `${'😀'.repeat(19)}…`, `${'数'.repeat(19)}…`]);
});

test.each([[[0.5, 0.5]], [[0, 1]], [[0.98123, 0.98124]]])(
  'the plot of %j has a few ticks within its width',
  (accuracies) => {
    const svg = accuracyPlot(comparedRecipes([facts('a')], [accuracies.map((accuracy, i) => run(i, accuracy))]));
    const ticks = [...svg.matchAll(/class="grid" x1="([\d.]+)"/g)].map((match) => Number(match[1]));
    expect(ticks.length).toBeGreaterThanOrEqual(2);
    expect(ticks.length).toBeLessThanOrEqual(11);
    const dots = [...svg.matchAll(/ cx="([\d.]+)"/g)].map((match) => Number(match[1]));
    for (const x of dots) expect(x >= ticks[0]! - 0.1 && x <= ticks.at(-1)! + 0.1).toBe(true);
  },
);
