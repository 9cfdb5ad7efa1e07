/** The artifact folder: written whole, read strictly. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InputError } from '../errors.js';
import { initialWeights } from '../local/index.js';
import { portable } from '../lower/index.js';
import { checkModel } from '../onnx/check.js';
import { parseRecipe } from '../recipe/index.js';
import { readArtifacts, readManifest, writeArtifacts } from './folder.js';
import { buildGraphs, type GraphSet } from './index.js';

const recipe = parseRecipe(
  {
    network: { type: 'cifar-resnet', depth: 14, widths: [4, 4, 8, 8], classes: 3, image: [1, 8, 8] },
    split: { modules: 4 },
    local: {
      rule: 'infopro',
      hierarchy: { independent: 0.001, cascade: 0.999 },
      patches: { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' },
    },
    optimizer: { type: 'sgd', learningRate: 0.1 },
    schedule: { type: 'constant', epochs: 1 },
    data: { dataset: 'digits', batch: 8, normalize: { mean: [0.3], std: [0.3] } },
  },
  'small',
);
const build = (): GraphSet => buildGraphs(recipe, { lowering: portable, schedules: ['sync', 'fused'] });

let root: string;
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hpff-artifacts-'));
  folder = join(root, 'out');
});
afterEach(() => rm(root, { recursive: true }));

const write = (): Promise<unknown> => writeArtifacts(folder, build(), initialWeights(recipe));

test('what is written is read back: manifest, models, weights', async () => {
  await write();
  const { manifest, models, weights } = await readArtifacts(folder);
  const built = build();
  expect(manifest).toMatchObject(built.manifest);
  expect([...models.keys()]).toEqual(manifest.graphs.map(({ file }) => file));
  expect(weights).toEqual(initialWeights(recipe));
});

test('each module has the graphs of its tasks, in the order of a step', () => {
  const files = build().manifest.graphs.map(({ file }) => file);
  const tasks = [
    'modules/00/forward modules/01/forward modules/01/heads modules/01/relay modules/00/update',
    // λ ends at 0, so the last of the modules with heads relays nothing.
    'modules/02/forward modules/02/heads modules/01/update',
    'modules/03/forward modules/03/heads modules/03/update modules/02/update step eval',
  ];
  expect(files).toEqual(
    tasks
      .join(' ')
      .split(' ')
      .map((task) => `${task}.onnx`),
  );
});

test('every graph passes the checker', () => {
  for (const model of build().models.values()) checkModel(model);
});

test('everything that a graph reads is state, input of the step, or made by an earlier graph', () => {
  const { graphs } = build().manifest;
  const external = new Set(['image', 'label', 'scalar', 'parameter', 'statistic', 'optimizer-state']);
  const made = new Set<string>();
  for (const { phase, inputs, outputs } of graphs) {
    if (phase === 'step') made.clear();
    for (const { name, meaning } of inputs) expect(external.has(meaning) || made.has(name), name).toBe(true);
    for (const { name } of outputs) made.add(name);
  }
});

test('momentum is updated in place; a weight that the backward pass still reads is not', () => {
  const update = build().manifest.graphs.find(({ file }) => file === 'modules/02/update.onnx')!;
  const inPlace = new Map(update.outputs.map(({ updates, inPlace }) => [updates, inPlace]));
  expect(inPlace.get('momentum/layer2.1.conv2.weight')).toBe(true);
  expect(inPlace.get('layer2.1.conv2.weight')).toBe(false);
  expect(inPlace.get('layer2.1.bn2.bias')).toBe(true);
});

test('the same recipe gives the same bytes', async () => {
  const first = (await writeArtifacts(folder, build(), initialWeights(recipe))).files;
  const second = (await writeArtifacts(join(root, 'again'), build(), initialWeights(recipe))).files;
  expect(second).toEqual(first);
});

describe('refuses', () => {
  const edit = async (change: (manifest: Record<string, unknown>) => void): Promise<void> => {
    await write();
    const path = join(folder, 'manifest.json');
    const manifest = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    change(manifest);
    await writeFile(path, JSON.stringify(manifest));
  };

  test('an altered file, by name', async () => {
    await write();
    await writeFile(join(folder, 'modules/01/relay.onnx'), 'altered');
    await expect(readArtifacts(folder)).rejects.toThrow(/modules\/01\/relay\.onnx: SHA-256/);
  });

  test.each([
    ['another format version', (m: Record<string, unknown>) => (m['formatVersion'] = 2), /formatVersion: found 2/],
    ['an unknown key', (m: Record<string, unknown>) => (m['extra'] = 1), /extra/],
    ['a path out of the folder', (m: Record<string, unknown>) => (m['files'] = { '../x': '0'.repeat(64) }), /files/],
    ['a wrong type', (m: Record<string, unknown>) => (m['batch'] = '8'), /batch/],
    ['a bad recipe', (m: Record<string, unknown>) => (m['recipe'] = {}), /recipe/],
  ])('%s', async (_what, change, message) => {
    await edit(change);
    const failure = await readManifest(folder).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message).not.toContain('\n');
  });

  test('to replace a folder that is not an artifact folder', async () => {
    await writeFile(join(root, 'mine'), 'x');
    await expect(writeArtifacts(root, build(), initialWeights(recipe))).rejects.toThrow(InputError);
    expect(await readFile(join(root, 'mine'), 'utf8')).toBe('x');
  });
});
