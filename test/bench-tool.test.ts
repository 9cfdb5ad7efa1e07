/** tools/bench: the table, and the process that runs PyTorch where that is installed. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { elementCount } from '../src/files/tensor.js';
import { initialWeights } from '../src/local/index.js';
import type { CifarResnetConfig } from '../src/recipe/index.js';
import { readRecipe } from '../src/recipe/read.js';
import { relativeToTorch, table, torchReference } from '../tools/bench/table.js';
import { pythonWithTorch, TorchProcess } from '../tools/bench/torch-process.js';

const root = path.join(import.meta.dirname, '..');
const python = pythonWithTorch(['python3', '/usr/bin/python3']);

const row = (title: string, threads: number, seconds: readonly number[]) => ({
  id: title,
  title,
  torch: title.startsWith('torch'),
  threads,
  seconds,
  openSeconds: 0.5,
  peakBytes: 3 * 2 ** 20,
  weightBytes: 2 ** 20,
  processPeakBytes: 9 * 2 ** 20,
});

test('step times are held, round by round, against the faster layout of PyTorch on as many threads', () => {
  const rows = [
    row('torch a', 1, [2, 4, 8]),
    row('torch b', 1, [9, 9, 9]),
    row('ours', 1, [1, 4, 2]),
    row('torch a', 2, [9, 9, 9]),
    row('torch b', 2, [1, 2, 4]),
    row('ours', 2, [1, 2, 8]),
  ];
  expect(rows.map((each) => relativeToTorch(each, rows))).toEqual([1, 9 / 4, 1 / 2, 4.5, 1, 1]);
  expect(relativeToTorch(rows[2]!, [rows[2]!])).toBeUndefined();
});

test('the table has a line for each subject', () => {
  const lines = table([row('torch', 1, [2, 4, 8]), row('ours', 1, [1, 2, 6])]).split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[3]).toBe('| 1 | ours | 2.000 (1.000 … 6.000) | 0.50 | 2 | 9 | 0.50 |');
  expect(table([row('ours', 1, [1])])).toContain('| – |');
});

test('what PyTorch times are held against is named', () => {
  expect(torchReference([row('ours', 1, [1])])).toBeUndefined();
  expect(torchReference([row('torch a', 1, [1]), row('ours', 1, [1]), row('torch a', 2, [1])])).toContain(
    'torch a, the only layout',
  );
  expect(torchReference([row('torch a', 1, [1]), row('torch b', 1, [1])])).toContain('whichever layout');
});

/** A tool run with these arguments. */
function tool(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe.runIf(existsSync(path.join(root, 'dist/cli/main.js')))('the tools, which need `npm run build`,', () => {
  test.each([
    ['run.js', ['--python', '/nope'], "--python: found '/nope', allowed: an interpreter that has PyTorch"],
    ['run.js', ['--python', '/nope', '--only', 'torch'], "--python: found '/nope'"],
    ['run.js', ['--rounds', '0'], "--rounds: found '0', allowed: a whole number from 1"],
    ['steady.js', ['--steps', 'x'], "--steps: found 'x', allowed: a whole number from 1"],
    ['steady.js', ['--nope'], "Unknown option '--nope'"],
    ['steady.js', ['none.json'], 'none.json: no such file or folder'],
    ['steady.js', ['--schedule', 'later'], "--schedule: found 'later', allowed: fused, sync, async"],
  ])('%s %j is refused in one line', (name, args, message) => {
    const { status, stdout, stderr } = tool(`tools/bench/${name}`, ...args);
    const line = stderr.split('\n').find((each) => !each.startsWith('the machine is busy'));
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(line).toContain(`tools/bench/${name}: ${message}`);
    expect(stderr).not.toContain('    at ');
  });

  test.each(['run.js', 'steady.js'])('%s --help says how it is used', (name) => {
    const { status, stdout } = tool(`tools/bench/${name}`, '--help');
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/^usage: /) as string });
  });
});

test.skipIf(!python)('PyTorch trains the network that hpff trains', async () => {
  const recipe = await readRecipe(path.join(import.meta.dirname, '../graphs/resnet32-cifar10-bp.json'));
  const weights = initialWeights({ ...recipe, network: { ...(recipe.network as CifarResnetConfig), depth: 8 } });
  const parameters = [...weights].filter(([name]) => !name.includes('running_'));
  const process = new TorchProcess({ python: python!, depth: 8, batch: 2, threads: 1, channelsLast: true });
  try {
    const { parameters: count } = await process.start();
    expect(count).toBe(parameters.reduce((sum, [, { shape }]) => sum + elementCount(shape), 0));
    expect(await process.step()).toBeGreaterThan(0);
    const { peakBytes, weightBytes, processPeakBytes } = await process.finish();
    expect(weightBytes).toBeGreaterThan(8 * count);
    expect(peakBytes).toBeGreaterThan(weightBytes);
    expect(processPeakBytes).toBeGreaterThan(peakBytes);
  } finally {
    process.kill();
  }
});
