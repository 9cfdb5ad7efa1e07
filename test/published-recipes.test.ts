/** The rows of the papers' tables in graphs/: as their script makes them, valid, free of warnings, and their training steps can be built. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { buildSharedGraphs } from '../src/artifacts/index.js';
import { portable } from '../src/lower/index.js';
import { buildStep } from '../src/local/index.js';
import { parseRecipe, type Recipe } from '../src/recipe/index.js';
import { recipeTexts } from '../tools/recipes/text.js';

const graphs = path.join(import.meta.dirname, '../graphs');
const folders = ['cifar10', 'svhn', 'stl10', 'imagenet'];
const files = folders.flatMap((folder) => readdirSync(path.join(graphs, folder)).map((file) => `${folder}/${file}`));

const recipes = new Map<string, Recipe>();
const warnings: string[] = [];

beforeAll(() => {
  for (const file of files) {
    const value: unknown = JSON.parse(readFileSync(path.join(graphs, file), 'utf8'));
    recipes.set(
      file,
      parseRecipe(value, file, (line) => warnings.push(`${file}: ${line}`)),
    );
  }
});

test('the files are those that tools/write-recipes.js writes', async () => {
  const texts = await recipeTexts();
  expect([...files].sort()).toEqual([...texts.keys()].sort());
  for (const [file, text] of texts) expect(readFileSync(path.join(graphs, file), 'utf8'), file).toBe(text);
});

test('they are named as their files, for their folder, and free of warnings', () => {
  expect(warnings).toEqual([]);
  for (const [file, recipe] of recipes) {
    expect(`${recipe.name}.json`).toBe(path.basename(file));
    const dataset = recipe.data.dataset === 'image-folder' ? 'imagenet' : recipe.data.dataset;
    expect(path.dirname(file)).toBe(dataset);
  }
});

test('there is a row for every data set, network, number of modules and rule, plain and with HPFF', () => {
  const small = [...recipes.values()].filter(({ network }) => network.type === 'cifar-resnet');
  const rules = ['dgl', 'infopro', 'infopro-contrastive', 'predsim', 'auglocal'];
  const cuts = [['resnet32', 'k8'], ['resnet32', 'k16'], ['resnet110', 'k32'], ['resnet110', 'k55']] as const; // prettier-ignore
  const expected = ['cifar10', 'svhn', 'stl10'].flatMap((dataset) => [
    ...['resnet32', 'resnet110'].map((network) => `${network}-${dataset}-bp`),
    ...cuts.flatMap(([network, modules]) =>
      rules.flatMap((rule) => ['', '-hpff'].map((hpff) => `${network}-${dataset}-${rule}${hpff}-${modules}`)),
    ),
  ]);
  expect(small.map(({ name }) => name).sort()).toEqual(expected.sort());
  for (const { name, local } of small)
    expect(local.hierarchy !== null && local.patches !== null, name).toBe(name.includes('-hpff'));
});

const rowsOf = (...datasets: string[]): Recipe[] =>
  [...recipes.values()].filter(({ data }) => datasets.includes(data.dataset));

test('the ONNX graphs of each can be made: images of CIFAR-10 and ImageNet', { timeout: 600_000 }, () => {
  for (const recipe of rowsOf('cifar10', 'image-folder')) {
    const { manifest, uses } = buildSharedGraphs(recipe, { batch: 8, lowering: portable, schedules: ['sync'] });
    const modules = new Set(manifest.graphs.map(({ module }) => module).filter((module) => module !== null));
    expect(modules.size, recipe.name).toBe(expectedModules(recipe));
    expect(
      manifest.graphs.filter(({ file }) => !uses.has(file)),
      recipe.name,
    ).toEqual([]);
  }
});

test('the training steps of STL-10, whose images are larger, can be built', { timeout: 600_000 }, () => {
  for (const recipe of rowsOf('stl10')) {
    const { modules, losses } = buildStep(recipe, 8);
    expect(modules.length, recipe.name).toBe(expectedModules(recipe));
    expect(losses.at(-1)!.name, recipe.name).toBe(`${modules.length - 1}/final/classifier`);
  }
});

test('those of SVHN are those of CIFAR-10 but for weights of losses', () => {
  const structure = ({ network, split, local }: Recipe): string =>
    JSON.stringify([network, split, { ...local, lambda: null }]);
  const known = new Set(rowsOf('cifar10').map(structure));
  for (const recipe of rowsOf('svhn')) expect(known.has(structure(recipe)), recipe.name).toBe(true);
});

/** The published splits called 16 and 55 have one module less. */
function expectedModules({ local, split }: Recipe): number {
  if (local.rule === 'bp') return 1;
  if (!('modules' in split)) return split.boundaries.length;
  return [16, 55].includes(split.modules) ? split.modules - 1 : split.modules;
}
