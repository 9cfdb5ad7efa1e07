/** `hpff bench` in processes of its own. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { BenchResult } from '../src/bench/index.js';
import { tinyRecipeFile } from './support/training.js';
import { transpileSources, type Transpiled } from './transpiled.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let transpiled: Transpiled;
let root: string;

beforeAll(() => {
  transpiled = transpileSources();
  writeFileSync(path.join(transpiled.folder, 'hpff.js'), `import { main } from './src/cli/main.js'; await main();`);
  root = mkdtempSync(path.join(tmpdir(), 'hpff-bench-'));
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

function bench(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['hpff.js', 'bench', ...args], {
    cwd: transpiled.folder,
    encoding: 'utf8',
  });
  return { code: status, stdout, stderr };
}

test('measures two recipes in turn', () => {
  const options = ['--steps', '3', '--threads', '1', '--lowering', 'portable', '--json'];
  const { code, stdout, stderr } = bench(recipeFile('one'), '--against', recipeFile('two'), ...options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { results } = JSON.parse(stdout) as { results: BenchResult[] };
  expect(results.map(({ recipe }) => recipe)).toEqual(['one', 'two']);
  for (const { stepSeconds, peakBytes, weightBytes, processPeakBytes, lowering, threads } of results) {
    expect({ lowering, threads }).toEqual({ lowering: 'portable', threads: 1 });
    expect(stepSeconds.min).toBeGreaterThan(0);
    expect(stepSeconds.median).toBeGreaterThanOrEqual(stepSeconds.min);
    expect(stepSeconds.max).toBeGreaterThanOrEqual(stepSeconds.median);
    expect(weightBytes).toBeGreaterThan(0);
    expect(peakBytes).toBeGreaterThan(weightBytes);
    expect(processPeakBytes).toBeGreaterThan(peakBytes);
  }
});

test('says in one line why a recipe cannot run, and leaves no process', () => {
  const patches = { grid: 5, on: ['decoder'], weights: 'separate', fuse: 'sum' };
  const local = { rule: 'infopro', patches };
  const { code, stdout, stderr } = bench(recipeFile('bad', { local, split: { modules: 3 } }));
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^hpff: PATCHES_\w+: local\.patches\.grid: found 5.*\n$/);
});
