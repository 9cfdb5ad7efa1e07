/** `hpff compare`, its runs in processes of their own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Comparison } from '../src/compare/index.js';
import { ProcessLock } from '../src/files/process-lock.js';
import { documentedKeys, keysOf } from './support/json-keys.js';
import { latestBits, tinyRecipeFile } from './support/training.js';
import { transpileSources, type Transpiled } from './transpiled.js';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

const digits = path.join(import.meta.dirname, '../data/digits');

let transpiled: Transpiled;
let root: string;
let files: string[];

beforeAll(() => {
  transpiled = transpileSources();
  root = mkdtempSync(path.join(tmpdir(), 'hpff-compare-'));
  files = [recipeFile('local'), recipeFile('global', { local: { rule: 'bp' }, split: undefined })];
});
afterAll(() => {
  transpiled.remove();
  rmSync(root, { recursive: true });
});

function recipeFile(name: string, change: Record<string, unknown> = {}): string {
  const file = path.join(root, `${name}.json`);
  writeFileSync(file, JSON.stringify({ ...tinyRecipeFile(change), name }));
  return file;
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param until what stderr has said when `act` is called with the process */
async function compare(args: string[], until?: RegExp, act?: (pid: number) => void): Promise<Ended> {
  const line = ['hpff.js', 'compare', ...args, '--data', digits, '--threads', '1', '--lowering', 'portable', '--json'];
  const child = spawn(process.execPath, line, { cwd: transpiled.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr, acted] = ['', '', false];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    if (acted || !until?.test(stderr)) return;
    acted = true;
    act?.(child.pid!);
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, stdout, stderr };
}

const documentOf = (folder: string): Comparison =>
  JSON.parse(readFileSync(path.join(folder, 'comparison.json'), 'utf8')) as Comparison;

test('trains each recipe with each seed, killed and stopped on the way, as if nothing had happened', async () => {
  const folder = path.join(root, 'all');
  const args = [...files, '--seeds', '2', '--epochs', '2', '-o', folder];
  // Killed in the second of four runs, stopped in the third.
  const killed = await compare(args, /global, seed 3, epoch 1/, (pid) => process.kill(pid, 'SIGKILL'));
  expect(killed.signal).toBe('SIGKILL');
  expect(documentOf(folder)).toMatchObject({
    complete: false,
    recipes: [{ runs: [{ status: 'done' }, { status: 'waiting' }] }, {}],
  });
  const before = statSync(path.join(folder, 'local/seed-3/sessions.jsonl')).size;
  const stopped = await compare(args, /global, seed 4, epoch 1/, (pid) => process.kill(pid, 'SIGTERM'));
  expect(stopped).toMatchObject({ code: 1, signal: null, stdout: '' });
  expect(stopped.stderr).toMatch(/^hpff: COMPARE_INTERRUPTED: [^\n]*\n$/m);
  const { code, stdout, stderr } = await compare(args);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringContaining('1/4 local, seed 3: done before') as string,
  });
  expect(statSync(path.join(folder, 'local/seed-3/sessions.jsonl')).size).toBe(before);

  const comparison = JSON.parse(stdout) as Comparison;
  expect(comparison).toEqual(documentOf(folder));
  // Conditions are as the differences of method, of which there are some here.
  const all = { ...comparison, conditions: comparison.method };
  expect(keysOf(all, ['options'])).toEqual(documentedKeys('compare'));
  expect(comparison).toMatchObject({ complete: true, seeds: [3, 4], conditions: [] });
  for (const { runs, testAccuracy, peakBytes, stepSeconds } of comparison.recipes) {
    expect(runs.map(({ status, step, curve }) => [status, step, curve.length])).toEqual([['done', 8, 2], ['done', 8, 2]]); // prettier-ignore
    const [a, b] = runs.map((run) => run.testAccuracy!) as [number, number];
    expect(testAccuracy).toMatchObject({ mean: expect.closeTo((a + b) / 2, 12) as number, count: 2 });
    expect(peakBytes).toBeGreaterThan(2 ** 24);
    expect(stepSeconds).toBeGreaterThan(0);
  }
  expect(comparison.recipes.map(({ modules, headParameters }) => [modules, headParameters > 0])).toEqual([[3, true], [1, false]]); // prettier-ignore
  expect(readdirSync(folder).sort()).toEqual(
    ['comparison-settings.json', 'comparison.html', 'comparison.json', 'comparison.md', 'comparison.svg', 'global', 'local'],
  ); // prettier-ignore
  expect(existsSync(path.join(folder, 'global/seed-4/report.html'))).toBe(true);

  // The run that was stopped has the bits of one that was not.
  const undisturbed = path.join(root, 'undisturbed');
  await compare([files[1]!, '--seed', '4', '--epochs', '2', '-o', undisturbed]);
  expect(latestBits(path.join(folder, 'global/seed-4'))).toEqual(latestBits(path.join(undisturbed, 'global/seed-4')));

  // Other options, or a recipe that has changed, are refused before anything is trained.
  const other = await compare([...files, '--seeds', '2', '--epochs', '2', '--steps', '7', '-o', folder]);
  expect(other).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^hpff: COMPARE_OPTIONS: --steps: [^\n]*\n$/) as string,
  });
  const changed = recipeFile('local', { optimizer: { type: 'sgd', learningRate: 0.01 } });
  const refused = await compare([changed, '--epochs', '2', '-o', folder]);
  expect(refused).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^hpff: RESUME_RECIPE: [^\n]*learningRate[^\n]*\n$/) as string,
  });
});

test('leaves a folder alone in which another process works', async () => {
  const folder = path.join(root, 'held');
  mkdirSync(folder);
  {
    await using _lock = await ProcessLock.take(path.join(folder, 'lock'), folder);
    expect(await compare([files[1]!, '-o', folder])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^hpff: LOCKED: [^\n]*held: process \d+ works there; allowed: one at a time\n$/) as string, // prettier-ignore
    });
    expect(readdirSync(folder)).toEqual(['lock']);
  }
});

test('shows a run that fails, and makes the others', async () => {
  const folder = path.join(root, 'failing');
  const diverging = recipeFile('diverging', {
    optimizer: { type: 'sgd', learningRate: 1e30 },
    schedule: { type: 'constant', epochs: 2 },
  });
  const { code, stdout, stderr } = await compare([diverging, recipeFile('fine'), '--epochs', '1', '-o', folder]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^hpff: COMPARE_RUNS_FAILED: 1 run failed: diverging with seed 3\n$/m);
  const { recipes, complete } = JSON.parse(stdout) as Comparison;
  expect(complete).toBe(false);
  expect(recipes.map(({ runs }) => runs[0]!.status)).toEqual(['failed', 'done']);
  expect(recipes[0]!.runs[0]!.reason).toMatch(/^(?:LOSS|WEIGHTS)_NOT_FINITE: /);
  expect(readFileSync(path.join(folder, 'comparison.md'), 'utf8')).toMatch(/^- diverging, seed 3: failed after step/m);
});

test('ends as its runs do where all fail', async () => {
  const elsewhere = recipeFile('elsewhere', {
    network: { type: 'cifar-resnet', depth: 8, widths: [2, 2, 4, 4], classes: 4, image: [1, 8, 8] },
  });
  const { code, stdout, stderr } = await compare([elsewhere, '-o', path.join(root, 'none')]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^hpff: DATA_CLASSES: [^\n]*\n$/m);

  const beyond = await compare([files[0]!, '--seed', '4294967295', '--seeds', '2', '-o', path.join(root, 'beyond')]);
  expect(beyond).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(/^hpff: COMPARE_SEEDS: seeds: found 4294967296 among 2, [^\n]*\n$/) as string,
  });
  expect(existsSync(path.join(root, 'beyond'))).toBe(false);
});
