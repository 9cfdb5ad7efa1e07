/** tools/bench: the table, and the process that runs PyTorch where that is installed. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { elementCount } from '../src/files/tensor.js';
import { initialWeights } from '../src/local/index.js';
import { readRecipe } from '../src/recipe/index.js';
import { relativeToTorch, table } from '../tools/bench/table.js';
import { pythonWithTorch, TorchProcess } from '../tools/bench/torch-process.js';

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

test.skipIf(!python)('PyTorch trains the network that hpff trains', async () => {
  const recipe = await readRecipe(path.join(import.meta.dirname, '../graphs/resnet32-cifar10-bp.json'));
  const weights = initialWeights({ ...recipe, network: { ...recipe.network, depth: 8 } });
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
