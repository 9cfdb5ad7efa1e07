/** `hpff step`: what it says of a loss that diverges. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { syntheticBatch } from '../src/data/synthetic.js';
import { writeSafetensors } from '../src/files/safetensors.js';
import type { HostTensor } from '../src/files/tensor.js';
import { initialWeights } from '../src/local/index.js';
import { hpff, type Finished } from './cli.js';
import { tinyRecipe, tinyRecipeFile } from './support/training.js';

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'hpff-step-'));
  const recipe = tinyRecipe();
  const { image, label } = syntheticBatch(recipe);
  await writeSafetensors(path.join(folder, 'weights'), initialWeights(recipe));
  await writeSafetensors(path.join(folder, 'batch'), new Map<string, HostTensor>([['image', image], ['label', label]])); // prettier-ignore
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Three steps at this learning rate. */
function steps(learningRate: number, ...more: string[]): Promise<Finished> {
  const at = (name: string): string => path.join(folder, name);
  writeFileSync(at('recipe'), JSON.stringify(tinyRecipeFile({ optimizer: { type: 'sgd', learningRate } })));
  const files = ['--weights', at('weights'), '--batch', at('batch'), '-o', at('output')];
  return hpff('step', at('recipe'), ...files, '--steps', '3', '--threads', '1', '--lowering', 'portable', ...more);
}

test.each([[[]], [['--json']]])(
  'a loss that is not finite is warned of, with the first step that has it: %j',
  async (more) => {
    const { code, stdout, stderr } = await steps(1e30, ...more);
    const warning = /^hpff: warning: step 2 of 3: the total loss is (NaN|Infinity|-Infinity), [^\n]*\n$/;
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(warning) as string });
    if (more.length > 0) expect(JSON.parse(stdout)).toMatchObject({ totalLoss: [expect.any(Number), null, null] });
  },
);

test('finite losses are not warned of', async () => {
  expect(await steps(0.05)).toMatchObject({ code: 0, stderr: '' });
});
