/** `hpff bench` in processes of its own. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { BenchResult, Profile, Ratios } from '../src/bench/index.js';
import type { WorkerProcess } from '../src/bench/process.js';
import { documentedKeys, keysOf } from './support/json-keys.js';
import { tinyRecipeFile } from './support/training.js';
import { transpileSources, type Transpiled } from './transpiled.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let transpiled: Transpiled;
let root: string;
let temporary: string;

beforeAll(() => {
  transpiled = transpileSources();
  root = mkdtempSync(path.join(tmpdir(), 'hpff-bench-'));
  temporary = path.join(root, 'tmp');
  mkdirSync(temporary);
});
afterAll(() => {
  transpiled.remove();
  rmSync(root, { recursive: true });
});

function recipeFile(name: string, change: object = {}): string {
  const file = path.join(root, `${name}.json`);
  writeFileSync(file, JSON.stringify({ ...tinyRecipeFile({}), name, ...change }));
  return file;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Its temporary files are in `temporary`. */
const bench = (...args: string[]): Ended => start(process.execPath, ['hpff.js', 'bench', ...args], temporary);

/** @param folder of temporary files */
function start(program: string, args: readonly string[], folder: string): Ended {
  const { status, stdout, stderr } = spawnSync(program, args, {
    ...inFolder(folder),
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  return { code: status, stdout, stderr };
}

const inFolder = (folder: string) => ({ cwd: transpiled.folder, env: { ...process.env, TMPDIR: folder } });

const leftovers = (): string[] => readdirSync(temporary).filter((name) => name.startsWith('hpff-'));

test('measures two recipes in turn', () => {
  const options = ['--steps', '3', '--threads', '1', '--lowering', 'portable', '--json'];
  const files = [recipeFile('one'), recipeFile('two')] as const;
  const { code, stdout, stderr } = bench(files[0], '--against', files[1], ...options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { results, ratios } = JSON.parse(stdout) as { results: (BenchResult & { file: string })[]; ratios: Ratios };
  expect(results.map(({ recipe, file }) => [recipe, file])).toEqual([
    ['one', files[0]],
    ['two', files[1]],
  ]);
  expect(ratios.beyondWeightsBytes).toBe(results[0]!.beyondWeightsBytes / results[1]!.beyondWeightsBytes);
  const rounds = results[0]!.roundSeconds.map((seconds, i) => seconds / results[1]!.roundSeconds[i]!);
  expect(ratios.stepSeconds).toBe(rounds.sort((a, b) => a - b)[1]);
  for (const { stepSeconds, roundSeconds, peakBytes, weightBytes, processPeakBytes, ...result } of results) {
    const { lowering, threads, beyondWeightsBytes } = result;
    expect({ lowering, threads }).toEqual({ lowering: 'portable', threads: 1 });
    expect(roundSeconds).toHaveLength(3);
    expect(Math.max(...roundSeconds)).toBe(stepSeconds.max);
    expect(beyondWeightsBytes).toBe(peakBytes - weightBytes);
    expect(stepSeconds.min).toBeGreaterThan(0);
    expect(stepSeconds.median).toBeGreaterThanOrEqual(stepSeconds.min);
    expect(stepSeconds.max).toBeGreaterThanOrEqual(stepSeconds.median);
    expect(weightBytes).toBeGreaterThan(0);
    expect(peakBytes).toBeGreaterThan(weightBytes);
    expect(processPeakBytes).toBeGreaterThan(peakBytes);
  }
});

test('tells recipes of the same name apart by their files; --verbose says which lowering is used', () => {
  const [one, two] = [recipeFile('one'), recipeFile('two', { name: 'one' })];
  const { code, stdout, stderr } = bench(one, '--against', two, '--steps', '1', '--lowering', 'portable', '--verbose');
  expect(code).toBe(0);
  expect(stderr.match(/^one: lowering portable: asked for$/gm)).toHaveLength(2);
  const lines = stdout.split('\n');
  expect([lines[0], lines[2]].map((line) => line!.split(': ')[0])).toEqual([`one (${one})`, `one (${two})`]);
  expect(lines[4]).toMatch(/^first \/ second: step \S+ \(median over the rounds\), memory beyond weights \S+$/);
});

test('profiles two recipes, and leaves no file', () => {
  const options = ['--profile', '--steps', '2', '--threads', '1', '--schedule', 'fused', '--batch', '50', '--json'];
  const { code, stdout, stderr } = bench(recipeFile('one'), '--against', recipeFile('two'), ...options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { results, profiles } = JSON.parse(stdout) as { results: BenchResult[]; profiles: Profile[] };
  expect(results).toHaveLength(2);
  expect(keysOf(JSON.parse(stdout), ['columns'])).toEqual(documentedKeys('bench'));
  const about = { schedule: 'fused', threads: 1, batch: 50, steps: 2 };
  expect(profiles).toMatchObject([
    { recipe: 'one', ...about },
    { recipe: 'two', ...about },
  ]);
  for (const { stepSeconds, runSeconds, kernelSeconds, nodes } of profiles) {
    expect(stepSeconds).toBeGreaterThan(runSeconds);
    expect(kernelSeconds).toBeCloseTo(
      nodes.reduce((sum, { seconds }) => sum + seconds, 0),
      9,
    );
    expect(new Set(nodes.map(({ module }) => module))).toEqual(new Set([0, 1, 2]));
    expect(nodes.every(({ seconds, operator }) => seconds >= 0 && operator !== '')).toBe(true);
  }
  expect(leftovers()).toEqual([]);
});

test('a profile that has no place is refused before anything is measured', () => {
  const missing = path.join(root, 'missing');
  const args = ['hpff.js', 'bench', recipeFile('one'), '--profile', '--verbose'];
  const { code, stdout, stderr } = start(process.execPath, args, missing);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^hpff: TMPDIR_NOT_WRITABLE: [^\n]*missing[^\n]*\n$/);
});

// A limit on the size of files stands for a full disk: in both cases the end of a profile is missing.
test.each([[[]], [['--json']]])('what was measured is told though its profile is cut short: %j', (more: string[]) => {
  const args = ['bench', recipeFile('one'), '--profile', '--steps', '2', '--threads', '1', '--batch', '50', ...more];
  const shell = ['-c', 'ulimit -f 8; exec "$@"', 'sh', process.execPath, 'hpff.js', ...args];
  const { code, stdout, stderr } = start('bash', shell, temporary);
  expect(code).toBe(1);
  expect(stderr).toMatch(/hpff: PROFILE_UNREADABLE: [^\n]*: the disk of TMPDIR may be full\n$/);
  if (more.length > 0) expect(Object.keys(JSON.parse(stdout) as object)).toEqual(['results']);
  else expect(stdout).toMatch(/^one: sync, [^\n]*\n {2}step [^\n]*\n$/);
  expect(leftovers()).toEqual([]);
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s ends a profile at once, and no file stays', async (signal) => {
  const args = ['hpff.js', 'bench', recipeFile('one'), '--profile', '--steps', '200', '--threads', '1'];
  const child = spawn(process.execPath, args, { ...inFolder(temporary), stdio: 'ignore' });
  const exit = once(child, 'exit');
  // Its second half, in which files are written.
  const writes = (): boolean => leftovers().some((name) => readdirSync(path.join(temporary, name)).length > 0);
  await vi.waitUntil(writes, { timeout: 60_000 });
  child.kill(signal);
  expect(await exit).toEqual([null, signal]);
  expect(leftovers()).toEqual([]);
});

test('prints a profile as tables that fit a terminal', () => {
  const { code, stdout } = bench(recipeFile('one'), '--profile', '--steps', '1', '--threads', '1', '--batch', '50');
  expect(code).toBe(0);
  const [times, heading, ...tables] = stdout.trimEnd().split('\n\n');
  expect(times).toMatch(/^one: sync, /);
  const [, share] =
    /\n {2}measured step \S+ s = kernels \S+ s \((\S+) %\) \+ \S+ s between them \+ \S+ s outside ONNX Runtime\n/.exec(
      heading!,
    )!;
  expect(Number(share)).toBeLessThanOrEqual(100);
  expect(heading).toMatch(/\n {2}measuring makes a step \S+ times as long: without, it takes \S+ s\n/);
  expect(Math.max(...heading!.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(120);
  expect(tables.map((table) => table.trim().split(' ')[0])).toEqual(['phase', 'module', 'part', 'operator', 'layer']);
  for (const table of tables) {
    const lines = table.split('\n');
    expect(new Set(lines.map(({ length }) => length)).size, table).toBe(1);
    expect(lines[0]!.length, table).toBeLessThanOrEqual(120);
    expect(lines.length, table).toBeGreaterThan(3);
  }
  // Rows of all modules, that is of the whole step.
  const shares = tables[1]!
    .split('\n')
    .slice(1)
    .map((line) => Number(line.trim().split(/ +/).at(-2)));
  expect(shares).toHaveLength(3);
  expect(shares.reduce((sum, share) => sum + share)).toBeCloseTo(100, 0);
});

test('says in one line why a recipe cannot run, and leaves no process', () => {
  const patches = { grid: 5, on: ['decoder'], weights: 'separate', fuse: 'sum' };
  const local = { rule: 'infopro', patches };
  const { code, stdout, stderr } = bench(recipeFile('bad', { local, split: { modules: 3 } }));
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^hpff: PATCHES_\w+: local\.patches\.grid: found 5.*\n$/);
});

test.each([true, false])(
  'a process that dies between two questions is named, with how it ended (noticed before the next: %s)',
  async (noticed) => {
    const file = path.join(transpiled.folder, 'src/bench/process.js');
    const module = (await import(file)) as { WorkerProcess: typeof WorkerProcess };
    const worker = new module.WorkerProcess('one');
    const exit = once(worker['child'], 'exit');
    worker.kill();
    if (noticed) await exit;
    await expect(worker.ask({ kind: 'step' }, 'stepped')).rejects.toMatchObject({
      code: 'BENCH_DIED',
      message: 'one: its process ended with signal SIGKILL',
    });
  },
);
