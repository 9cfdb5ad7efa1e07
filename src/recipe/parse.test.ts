import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputError } from '../errors.js';
import { recipeHash } from './hash.js';
import { parseRecipe, toJson } from './parse.js';
import { readRecipe } from './read.js';
import { recipeWarnings } from './warnings.js';

/** The least that a recipe must say. */
const minimal = {
  network: { type: 'cifar-resnet', depth: 20, classes: 10, image: [3, 32, 32] },
  split: { modules: 4 },
  local: { rule: 'infopro' },
  optimizer: { type: 'sgd', learningRate: 0.1 },
  schedule: { type: 'cosine', epochs: 10 },
  data: { dataset: 'cifar10', batch: 128 },
};

type Tree = { [key: string]: unknown };

/** A copy of a recipe with the value at a dotted path replaced; `undefined` removes the key. */
function withValue(base: object, at: string, value: unknown): Tree {
  const copy = structuredClone(base) as Tree;
  const keys = at.split('.');
  let parent = copy;
  for (const key of keys.slice(0, -1)) parent = (parent[key] ??= {}) as Tree;
  const last = keys.at(-1)!;
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return copy;
}

/** The recipe with several values replaced. */
const withValues = (changes: Tree) =>
  Object.entries(changes).reduce<object>((recipe, [at, value]) => withValue(recipe, at, value), minimal);

/** A network for large images with some keys replaced. */
const imagenet = (changes: Tree): Tree => ({
  type: 'imagenet-resnet',
  depth: 50,
  classes: 10,
  image: [3, 64, 64],
  ...changes,
});

function refusalOf(value: unknown): string {
  try {
    parseRecipe(value, 'r.json');
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).code).toBe('RECIPE_INVALID');
    const line = (error as InputError).message;
    expect(line).toMatch(/^r\.json: [^\n\r]*$/);
    return line.slice('r.json: '.length);
  }
  throw new Error('was accepted');
}

function warningsOf(value: unknown): string[] {
  const lines: string[] = [];
  parseRecipe(value, 'r.json', (line) => lines.push(line));
  return lines;
}

test('fills in the defaults', () => {
  const lines: string[] = [];
  expect(parseRecipe(minimal, 'some/where/small.json', (line) => lines.push(line))).toEqual({
    name: 'small',
    network: { type: 'cifar-resnet', depth: 20, widths: [16, 16, 32, 64], classes: 10, image: [3, 32, 32] },
    split: { modules: 4 },
    local: {
      rule: 'infopro',
      hierarchy: null,
      classifier: { net: '2c2f', features: 128, widen: 1, loss: 'cross-entropy', temperature: 0.07 },
      decoder: { net: 'cifar', widen: 1 },
      lambda: { decoder: [5, 0], similarity: [0, 0], classifier: [0.5, 0] },
      auglocal: null,
      patches: null,
      runningStatsPasses: 1,
    },
    optimizer: { type: 'sgd', learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 1e-4 },
    schedule: { type: 'cosine', epochs: 10, warmupEpochs: 0 },
    data: {
      dataset: 'cifar10',
      batch: 128,
      normalize: { mean: [0, 0, 0], std: [1, 1, 1] },
      augment: { resizedCrop: null, crop: null, flip: false },
      resize: null,
      columns: null,
      convert: null,
    },
    seed: 0,
  });
  expect(lines).toEqual([]);
});

test('fills in the defaults of the other rules, optimizers and schedules', () => {
  const dgl = parseRecipe(withValue(minimal, 'local', { rule: 'dgl' }), 'r.json').local;
  expect(dgl.classifier.net).toBe('dgl');
  expect(dgl).toMatchObject({ decoder: null, lambda: { classifier: [1, 1] } });
  const predsim = parseRecipe(withValue(minimal, 'local', { rule: 'predsim' }), 'r.json').local;
  expect(predsim).toMatchObject({
    classifier: { net: '0c1f' },
    decoder: null,
    lambda: { similarity: [0.99, 0.99], classifier: [0.01, 0.01] },
  });
  const auglocal = parseRecipe(withValue(minimal, 'local', { rule: 'auglocal' }), 'r.json').local;
  expect(auglocal).toMatchObject({ decoder: null, auglocal: { depth: 3, coefficient: 0.5 } });
  const changes = {
    split: undefined,
    local: { rule: 'bp' },
    optimizer: { type: 'adamw', learningRate: 0 },
    schedule: { type: 'step', epochs: 9, milestones: [3, 6] },
  };
  const recipe = parseRecipe(withValues(changes), 'r.json');
  expect(recipe.split).toEqual({ modules: 1 });
  expect(recipe.local.decoder).toBeNull();
  expect(recipe.optimizer).toEqual({
    type: 'adamw',
    learningRate: 0,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0.01,
  });
  expect(recipe.schedule).toEqual({ type: 'step', epochs: 9, warmupEpochs: 0, milestones: [3, 6], gamma: 0.1 });
});

test('one mean and deviation stand for all channels', () => {
  const recipe = parseRecipe(withValue(minimal, 'data.normalize', { mean: [0.2], std: [0.3, 0.4, 0.5] }), 'r.json');
  expect(recipe.data.normalize).toEqual({ mean: [0.2, 0.2, 0.2], std: [0.3, 0.4, 0.5] });
});

test.each<[string, unknown, string]>([
  ['data.batch', 0, 'data.batch: found 0, allowed: an integer from 1 to 65536'],
  ['data.batch', 1.5, 'data.batch: found 1.5, allowed: an integer from 1 to 65536'],
  ['data.batch', '128', 'data.batch: found "128", allowed: an integer from 1 to 65536'],
  ['data.batch', NaN, 'data.batch: found NaN, allowed: an integer from 1 to 65536'],
  ['data.batch', undefined, 'data.batch: missing, allowed: an integer from 1 to 65536'],
  [
    'data.bacth',
    1,
    'data.bacth: unknown key, allowed: dataset, batch, trainImages, normalize, augment, resize, columns, convert',
  ],
  [
    'data.a\nb',
    1,
    'data["a\\u{a}b"]: unknown key, allowed: dataset, batch, trainImages, normalize, augment, resize, columns, convert',
  ],
  ['data', [], 'data: found [], allowed: an object'],
  ['seed', -1, 'seed: found -1, allowed: an integer from 0 to 4294967295'],
  ['name', '', 'name: found "", allowed: a text of 1 to 200 visible characters'],
  ['name', 'a\nb', 'name: found "a\\nb", allowed: a text of 1 to 200 visible characters'],
  ['network.type', 'alexnet', 'network.type: found "alexnet", allowed: "cifar-resnet", "imagenet-resnet" or "vgg"'],
  ['network.type', undefined, 'network.type: missing, allowed: "cifar-resnet", "imagenet-resnet" or "vgg"'],
  ['network', imagenet({ depth: 51 }), 'network.depth: found 51, allowed: 18, 34, 50, 101 or 152'],
  ['network', imagenet({ image: [3, 224, 28] }), 'network.image[2]: found 28, allowed: an integer from 32 to 4096'],
  [
    'network',
    imagenet({ depth: 34, groups: 32 }),
    'network.groups: found 32, allowed: 1 below depth 50, whose blocks have no groups',
  ],
  [
    'network',
    imagenet({ groups: 8, widthPerGroup: 4, width: 24 }),
    'network.widthPerGroup: found 4, allowed: a multiple of 8 (a group of the first stage has width · widthPerGroup / 64 channels, width being 24)',
  ],
  ['network', imagenet({ type: 'vgg', depth: 12 }), 'network.depth: found 12, allowed: 11, 13, 16 or 19'],
  [
    'network',
    imagenet({ type: 'vgg', depth: 16, hidden: 0 }),
    'network.hidden: found 0, allowed: an integer from 1 to 65536, or null',
  ],
  [
    'network',
    imagenet({ type: 'vgg', depth: 11, image: [3, 16, 32] }),
    'network.image[1]: found 16, allowed: an integer from 32 to 4096',
  ],
  ['network.depth', 21, 'network.depth: found 21, allowed: an integer 6n+2 from 8 to 1202'],
  ['network.depth', 2, 'network.depth: found 2, allowed: an integer 6n+2 from 8 to 1202'],
  ['network.widths', [16, 0, 32, 64], 'network.widths[1]: found 0, allowed: an integer from 1 to 4096'],
  ['network.classes', 1, 'network.classes: found 1, allowed: an integer from 2 to 65536'],
  ['network.image', [3, 3, 32], 'network.image[1]: found 3, allowed: an integer from 4 to 4096'],
  ['split', undefined, 'split: missing, allowed: {"modules": K} or {"boundaries": [last block of each module]}'],
  ['split', {}, 'split: found {}, allowed: either {"modules": K} or {"boundaries": [last block of each module]}'],
  ['split.modules', 10, 'split.modules: found 10, allowed: an integer from 1 to 9 (its blocks)'],
  ['split.balance', 'size', 'split.balance: found "size", allowed: "memory" or "time"'],
  [
    'split',
    { boundaries: ['layer1.0', 'layer3.2'], balance: 'time' },
    'split.balance: found "time", allowed: nothing with boundaries, which leave nothing to balance',
  ],
  ['local.rule', 'hinton', 'local.rule: found "hinton", allowed: "bp", "dgl", "infopro", "predsim" or "auglocal"'],
  [
    'local',
    { rule: 'auglocal', auglocal: null },
    'local.auglocal: found null, allowed: an object such as {"depth": 3} (rule auglocal has such heads)',
  ],
  [
    'local',
    { rule: 'auglocal', auglocal: { coefficient: 1.5 } },
    'local.auglocal.coefficient: found 1.5, allowed: a number from 0 to 1',
  ],
  [
    'local.decoder',
    null,
    'local.decoder: found null, allowed: an object such as {"widen": 1} (rule infopro has a decoder)',
  ],
  ['local.hierarchy', { independent: 1 }, 'local.hierarchy.cascade: missing, allowed: a number ≥ 0'],
  ['local.hierarchy', 'yes', 'local.hierarchy: found "yes", allowed: an object or null'],
  ['local.lambda', { decoder: [1, -1] }, 'local.lambda.decoder[1]: found -1, allowed: a number ≥ 0'],
  ['optimizer.type', 'lion', 'optimizer.type: found "lion", allowed: "sgd" or "adamw"'],
  ['optimizer.learningRate', Infinity, 'optimizer.learningRate: found Infinity, allowed: a number ≥ 0'],
  ['optimizer.momentum', 1, 'optimizer.momentum: found 1, allowed: a number ≥ 0 and < 1'],
  ['schedule.epochs', 0, 'schedule.epochs: found 0, allowed: an integer from 1 to 1000000'],
  [
    'schedule',
    { type: 'step', epochs: 9, milestones: [3, 3] },
    'schedule.milestones: found [3,3], allowed: a list of integers ≥ 1, rising',
  ],
  [
    'data.dataset',
    'cifar12',
    'data.dataset: found "cifar12", allowed: "digits", "fashion-mnist", "mnist", "cifar10", "cifar100", "svhn", "stl10", "image-folder" or "parquet"',
  ],
  [
    'data.normalize',
    { mean: [125.3], std: [1] },
    'data.normalize.mean[0]: found 125.3, allowed: a number from 0 to 1 (pixel values are scaled to [0, 1])',
  ],
  [
    'data.normalize',
    { mean: [0, 0], std: [1] },
    'data.normalize.mean: found [0,0], allowed: a list of 1 or 3 numbers (channels of network.image)',
  ],
  [
    'data.normalize',
    { mean: [0], std: [0] },
    'data.normalize.std[0]: found 0, allowed: a number > 0 and ≤ 1 (pixel values are scaled to [0, 1])',
  ],
  [
    'data.augment',
    { crop: { pad: 32, mode: 'reflect' } },
    'data.augment.crop.pad: found 32, allowed: an integer from 1 to 31 (an image of 32 pixels has no more to reflect)',
  ],
  ['data.convert', { channels: 1 }, 'data.convert.channels: found 1, allowed: 3 (channels of network.image) or null'],
  [
    'data.convert',
    { pad: [32, 28] },
    'data.convert.pad: found [32,28], allowed: [32, 32] (height and width of network.image) or null',
  ],
])('refuses %s = %j', (at, value, expected) => {
  expect(refusalOf(withValue(minimal, at, value))).toBe(expected);
});

test.each<[unknown, string]>([
  [
    { grid: 1, on: ['decoder'], weights: 'shared', fuse: 'sum' },
    'local.patches.grid: found 1, allowed: an integer from 2 to 64',
  ],
  [
    { grid: 2, on: [], weights: 'shared', fuse: 'sum' },
    'local.patches.on: found [], allowed: a list of one or more of "decoder", "classifier" and "similarity"',
  ],
  [
    { grid: 2, on: ['decoder', 'decoder'], weights: 'shared', fuse: 'sum' },
    'local.patches.on: found ["decoder","decoder"], allowed: a list of one or more of "decoder", "classifier" and "similarity"',
  ],
  [
    { grid: 2, on: ['decoder'], weights: 'own', fuse: 'sum' },
    'local.patches.weights: found "own", allowed: "separate" or "shared"',
  ],
])('refuses patches %j', (patches, expected) => {
  expect(refusalOf(withValue(minimal, 'local.patches', patches))).toBe(expected);
});

test.each([undefined, null, 3, 'text', [minimal]])('refuses %j in place of a recipe', (value) => {
  expect(refusalOf(value)).toMatch(/^found .*, allowed: an object$/);
});

test('counts what else is wrong, each path once', () => {
  const recipe = withValues({ 'data.batch': 0.5, 'network.classes': 1, seed: 'x', extra: 1 });
  expect(refusalOf(recipe)).toMatch(/ \(and 3 more\)$/);
});

test('an own key named __proto__ is an unknown key', () => {
  const recipe = JSON.parse(JSON.stringify(minimal).replace('"split"', '"__proto__":{"x":1},"split"')) as unknown;
  expect(refusalOf(recipe)).toMatch(/^__proto__: unknown key/);
});

test('a value that JSON cannot hold is refused in one line', () => {
  const circle: Tree = {};
  circle.self = circle;
  expect(refusalOf(withValue(minimal, 'local.rule', 10n))).toMatch(/^local\.rule: found .*bigint/);
  expect(refusalOf({ ...minimal, data: [circle] })).toMatch(/^data: found a value that JSON cannot hold \(object\)/);
});

test.each<[string[], string | null]>([
  [['layer1.2', 'layer2.1', 'layer3.0', 'layer3.2'], null],
  [['layer3.2'], null],
  [
    ['layer1.3', 'layer3.2'],
    'split.boundaries[0]: found "layer1.3", allowed: a block from "layer1.0" to "layer3.2", the nearest being "layer1.2"',
  ],
  [
    ['layer1.00', 'layer3.2'],
    'split.boundaries[0]: found "layer1.00", allowed: a block from "layer1.0" to "layer3.2", the nearest being "layer1.0"',
  ],
  [
    ['layer1.0', 'layer4.0'],
    'split.boundaries[1]: found "layer4.0", allowed: a block from "layer1.0" to "layer3.2", the nearest being "layer3.2"',
  ],
  [
    ['layer2.0', 'layer1.2', 'layer3.2'],
    'split.boundaries[1]: found "layer1.2", allowed: a block from "layer2.1" on (modules follow each other, each with a block of its own)',
  ],
  [
    ['layer2.0', 'layer2.0', 'layer3.2'],
    'split.boundaries[1]: found "layer2.0", allowed: a block from "layer2.1" on (modules follow each other, each with a block of its own)',
  ],
  [
    ['layer3.2', 'layer3.2'],
    'split.boundaries[1]: found "layer3.2", allowed: nothing more (modules follow each other, each with a block of its own)',
  ],
  [
    ['layer1.0', 'layer3.1'],
    'split.boundaries[1]: found "layer3.1", allowed: "layer3.2", the last block of the network',
  ],
  [
    [],
    'split.boundaries: found [], allowed: a list of block names such as "layer1.0": the last block of each module, in order',
  ],
])('boundaries %j', (boundaries, expected) => {
  const recipe = withValue(minimal, 'split', { boundaries });
  if (expected === null) expect(parseRecipe(recipe, 'r.json').split).toEqual({ boundaries });
  else expect(refusalOf(recipe)).toBe(expected);
});

test.each([
  ['imagenet-resnet', { depth: 50 }, 16],
  ['imagenet-resnet', { depth: 101 }, 33],
  ['vgg', { depth: 16 }, 13],
])('%s %j has %i blocks', (type, shape, blocks) => {
  const recipe = { ...minimal, network: { type, classes: 10, image: [3, 64, 64], ...shape } };
  expect(refusalOf(withValue(recipe, 'split', { modules: blocks + 1 }))).toBe(
    `split.modules: found ${blocks + 1}, allowed: an integer from 1 to ${blocks} (its blocks)`,
  );
  const split = { modules: blocks, balance: 'memory' };
  expect(parseRecipe(withValue(recipe, 'split', split), 'r.json').split).toEqual(split);
});

test.each([
  [32, {}, '2c2f', 'cifar'],
  [224, {}, 'imagenet', 'imagenet'],
  [224, { classifier: { net: '1c1f' }, decoder: { net: 'cifar' } }, '1c1f', 'cifar'],
  [224, { rule: 'dgl' }, 'dgl', undefined],
  [224, { decoder: { widen: 2 } }, 'imagenet', 'imagenet'],
])('heads for images of %i, %j: %s and %s', (side, local, classifier, decoder) => {
  const network = { type: 'imagenet-resnet', depth: 50, classes: 10, image: [3, side, side] };
  const recipe = parseRecipe(withValues({ network, local: { rule: 'infopro', ...local } }), 'r.json');
  expect(recipe.local.classifier.net).toBe(classifier);
  expect(recipe.local.decoder?.net).toBe(decoder);
});

test.each([
  [224, undefined, 4096],
  [64, undefined, null],
  [224, null, null],
  [64, 32, 32],
])('vgg for images of %i with hidden %j', (side, hidden, expected) => {
  const network = { type: 'vgg', depth: 11, classes: 10, image: [3, side, side], hidden };
  expect(parseRecipe(withValue(minimal, 'network', network), 'r.json').network).toMatchObject({
    width: 64,
    hidden: expected,
  });
});

test.each([
  [32, 15, true],
  [32, 16, true],
  [32, 17, false],
  [20, 10, false],
  [110, 55, true],
  [110, 56, false],
])('depth %i, %i modules: allowed %s', (depth, modules, allowed) => {
  const recipe = withValues({ 'network.depth': depth, 'split.modules': modules });
  if (allowed) expect(parseRecipe(recipe, 'r.json').split).toEqual({ modules });
  else expect(refusalOf(recipe)).toMatch(/^split\.modules: found/);
});

test('warns of two modules with hierarchy', () => {
  const hierarchy = { independent: 0.001, cascade: 0.999 };
  const lines = warningsOf(withValues({ 'split.modules': 2, 'local.hierarchy': hierarchy }));
  expect(lines).toEqual([expect.stringContaining('plain back-propagation at weight 0.999 through both modules')]);
  expect(warningsOf(withValues({ 'split.modules': 4, 'local.hierarchy': hierarchy }))).toEqual([]);
});

test('warns of three modules whose only cascade heads weigh nothing', () => {
  const of = (local: object) =>
    warningsOf(
      withValues({ 'split.modules': 3, local: { hierarchy: { independent: 0.001, cascade: 0.999 }, ...local } }),
    );
  expect(of({ rule: 'infopro' })).toEqual([
    'local.lambda: with three modules, module 1 alone has heads, at their last weights: with these 0, nothing trains module 0',
  ]);
  expect(of({ rule: 'infopro', lambda: { decoder: [5, 0], classifier: [0.5, 0.5] } })).toEqual([]);
  expect(of({ rule: 'dgl' })).toEqual([]);
  expect(of({ rule: 'predsim' })).toEqual([]);
});

test('warns of keys that the rule ignores, and takes no notice of them', () => {
  const patches = { grid: 2, on: ['decoder', 'classifier'], weights: 'separate', fuse: 'sum' };
  const hierarchy = { independent: 0.5, cascade: 0.5 };
  const local = { hierarchy, decoder: { widen: 2 }, lambda: { classifier: [2, 2] }, patches };

  const dgl = withValue(minimal, 'local', { rule: 'dgl', ...local });
  expect(warningsOf(dgl).map((line) => line.split(':')[0])).toEqual(['local.decoder', 'local.lambda', 'local.patches']);
  expect(parseRecipe(dgl, 'r.json').local).toMatchObject({
    hierarchy,
    decoder: null,
    lambda: { decoder: [0, 0], similarity: [0, 0], classifier: [1, 1] },
    patches: { ...patches, on: ['classifier'] },
  });

  const bp = withValue(minimal, 'local', { rule: 'bp', ...local });
  expect(warningsOf(bp).map((line) => line.split(':')[0])).toEqual([
    'split',
    'local.hierarchy',
    'local.decoder',
    'local.lambda',
    'local.patches',
  ]);
  expect(warningsOf(withValues({ 'local.rule': 'bp', split: undefined }))).toEqual([]);
  expect(parseRecipe(bp, 'r.json').split).toEqual({ modules: 1 });
  expect(parseRecipe(bp, 'r.json').local).toEqual(
    parseRecipe(withValue(minimal, 'local', { rule: 'bp' }), 'r.json').local,
  );
});

test.each<[string, object, string[]]>([
  [
    'infopro',
    { lambda: { similarity: [1, 1] }, auglocal: { depth: 2 } },
    [
      'local.lambda.similarity: ignored, since rule infopro has no similarity',
      'local.auglocal: ignored, since rule infopro has other heads',
    ],
  ],
  [
    'predsim',
    {
      lambda: { decoder: [1, 1], similarity: [1, 0.5] },
      patches: { grid: 2, on: ['decoder', 'similarity'], weights: 'shared', fuse: 'mean' },
    },
    [
      'local.lambda.decoder: ignored, since rule predsim has no decoder',
      'local.patches: used on similarity only, since rule predsim has no other heads',
    ],
  ],
  [
    'auglocal',
    { classifier: { features: 64 }, decoder: { widen: 1 }, lambda: { classifier: [2, 2] } },
    [
      "local.classifier: ignored, since the heads of rule auglocal are made of blocks like the network's",
      'local.decoder: ignored, since rule auglocal has no decoder',
      'local.lambda: ignored, since rule auglocal weighs its one loss by 1',
    ],
  ],
  [
    'dgl',
    { patches: { grid: 2, on: ['decoder'], weights: 'shared', fuse: 'mean' } },
    ['local.patches: ignored, since rule dgl has no such heads'],
  ],
])('rule %s says which keys it ignores, and why', (rule, local, expected) => {
  expect(warningsOf(withValue(minimal, 'local', { rule, ...local }))).toEqual(expected);
});

test.each<[object, number, string | null]>([
  [{ independent: 1, cascade: 0 }, 4, 'with weight 0, this is rule infopro without hierarchy'],
  [
    { independent: 0.5, cascade: 0 },
    2,
    'with weight 0, this is rule infopro without hierarchy, all its losses weighted by 0.5',
  ],
  [{ independent: 0, cascade: 0 }, 4, 'with weight 0, and the independent weight 0 as well, nothing is trained'],
  [{ independent: 0, cascade: 1 }, 4, null],
])('hierarchy %j with %i modules', (hierarchy, modules, expected) => {
  const lines = warningsOf(withValues({ 'local.hierarchy': hierarchy, 'split.modules': modules }));
  expect(lines).toEqual(expected === null ? [] : [`local.hierarchy.cascade: ${expected}`]);
});

test('warns of settings that cannot be meant', () => {
  const lines = warningsOf(
    withValues({
      'local.hierarchy': { independent: 1, cascade: 0 },
      schedule: { type: 'step', epochs: 5, warmupEpochs: 5, milestones: [2, 5] },
    }),
  );
  expect(lines.map((line) => line.split(':')[0])).toEqual([
    'local.hierarchy.cascade',
    'schedule.warmupEpochs',
    'schedule.milestones',
  ]);
  expect(warningsOf(withValue(minimal, 'split.modules', 1))).toHaveLength(1);
});

const recipes = path.join(import.meta.dirname, '../../graphs');

test('the recipes in graphs/ are valid, free of warnings, survive writing, and are named as their files where not in folders', async () => {
  const files = (await readdir(recipes, { recursive: true })).filter((file) => file.endsWith('.json'));
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    const lines: string[] = [];
    const recipe = await readRecipe(path.join(recipes, file), (line) => lines.push(line));
    if (path.dirname(file) === '.') expect(`${recipe.name}.json`).toBe(file);
    expect(lines).toEqual([]);
    expect(parseRecipe(JSON.parse(toJson(recipe)), 'elsewhere', (line) => lines.push(line))).toEqual(recipe);
    expect(lines).toEqual([]);
  }
});

test.each(['bp', 'dgl', 'infopro', 'predsim', 'auglocal'])(
  'a written recipe of rule %s reads back without warnings',
  (rule) => {
    const recipe = parseRecipe(withValue(minimal, 'local.rule', rule), 'r.json');
    expect(warningsOf(JSON.parse(toJson(recipe)))).toEqual([]);
    expect(recipeWarnings(recipe)).toEqual([]);
  },
);

test('the hash depends on what the recipe says, not on how', () => {
  const reversed = Object.fromEntries(Object.entries(minimal).reverse());
  const hash = recipeHash(parseRecipe(minimal, 'r.json'));
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
  expect(recipeHash(parseRecipe({ ...reversed, seed: 0, name: 'r' }, 'other.json'))).toBe(hash);
  expect(recipeHash(parseRecipe({ ...minimal, seed: 1 }, 'r.json'))).not.toBe(hash);
});

test('reads recipe files, and refuses what is none', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'hpff-recipe-'));
  const file = path.join(folder, 'r.json');
  const refused = async (text: string) => {
    await writeFile(file, text);
    return expect(readRecipe(file)).rejects;
  };
  try {
    const text = await readFile(path.join(recipes, 'digits-hpff.json'), 'utf8');
    await writeFile(file, `\uFEFF${text}`);
    expect((await readRecipe(file)).name).toBe('digits-hpff');
    await expect(readRecipe(path.join(folder, 'none.json'))).rejects.toMatchObject({ code: 'FILE_MISSING' });
    await expect(readRecipe(folder)).rejects.toMatchObject({ code: 'FILE_IS_DIRECTORY' });
    await (
      await refused('{\n  "seed": }')
    ).toMatchObject({ message: expect.stringContaining('line 2, column 11') as string });
    await (await refused('{"seed": 1, "seed": 2}')).toMatchObject({ code: 'JSON_DUPLICATE_KEY' });
    await (await refused(' '.repeat(2 ** 20 + 1))).toMatchObject({ code: 'FILE_TOO_LARGE' });
    await (
      await refused(text.replace('"seed": 1', '"seed": 1e999'))
    ).toMatchObject({
      message: `${file}: seed: found Infinity, allowed: an integer from 0 to 4294967295`,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('whatever stands anywhere in a recipe, it is accepted or refused in one line', () => {
  const paths = [...pathsOf(parseRecipe(minimal, 'r.json'))];
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.oneof(fc.anything(), fc.jsonValue()), (at, value) => {
      try {
        const recipe = parseRecipe(withValue(minimal, at, value), 'r.json');
        expect(toJson(parseRecipe(JSON.parse(toJson(recipe)), 'r.json'))).toBe(toJson(recipe));
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
        expect((error as InputError).message).toMatch(/^r\.json: .*allowed: .*$/);
      }
    }),
    { numRuns: 1000 },
  );
});

function* pathsOf(value: object, prefix = ''): Generator<string> {
  for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
    yield prefix + key;
    if (typeof inner === 'object' && inner !== null && !Array.isArray(inner)) yield* pathsOf(inner, `${prefix}${key}.`);
  }
}
