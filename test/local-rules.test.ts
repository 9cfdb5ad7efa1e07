/** What docs/local-rules.md says: its example is a rule that works, its links lead somewhere, and it names every rule. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { Value } from '../src/graph/index.js';
import { buildStep, type StepGraph } from '../src/local/index.js';
import { initialize } from '../src/nn/index.js';
import { localRuleNames, parseRecipe, type Recipe } from '../src/recipe/index.js';
import { evaluate } from './reference/evaluate.js';
import { regression } from './support/regression-rule.js';
import { tinyRecipeFile } from './support/training.js';

const docs = path.join(import.meta.dirname, '../docs');
const page = readFileSync(path.join(docs, 'local-rules.md'), 'utf8');

test('the example is the rule that is tested here', () => {
  const file = readFileSync(path.join(import.meta.dirname, 'support/regression-rule.ts'), 'utf8');
  const shown = /^```ts\n(.*?)^```/ms.exec(page)![1]!;
  const inPlace = file.replaceAll("'../../src/local/rules/", "'./").replaceAll("'../../src/", "'../../");
  expect(shown).toBe(inPlace);
});

test('links to files lead somewhere', () => {
  const links = [...page.matchAll(/\]\(([^)#:]+)\)/g)].map((match) => match[1]!);
  expect(links.length).toBeGreaterThan(3);
  for (const link of links) expect(existsSync(path.join(docs, link)), link).toBe(true);
});

test('every rule stands in the table', () => {
  const rows = [...page.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1]);
  expect(rows).toEqual(['rule', ...localRuleNames]);
});

const batch = 6;

function inputsOf(step: StepGraph, recipe: Recipe): Map<string, Float64Array | BigInt64Array> {
  const inputs = new Map<string, Float64Array | BigInt64Array>();
  for (const [name, { data }] of initialize(step.parameters, 1))
    inputs.set(name, Float64Array.from(data as Float32Array));
  for (const { name, shape } of step.states) inputs.set(name, new Float64Array(shape.reduce((a, b) => a * b, 1)));
  const pixels = recipe.network.image.reduce((a, b) => a * b, batch);
  inputs.set(
    'image',
    Float64Array.from({ length: pixels }, (_, i) => Math.sin(i * i)),
  );
  inputs.set(
    'label',
    BigInt64Array.from({ length: batch }, (_, i) => BigInt(i)),
  );
  inputs.set('learning_rate', Float64Array.of(0.2));
  return inputs;
}

test.each([
  ['alone', null, null],
  ['with HPFF', { independent: 0.1, cascade: 0.9 }, { grid: 2, on: ['classifier'], weights: 'shared', fuse: 'mean' }],
])('the example learns, %s', (_name, hierarchy, patches) => {
  const recipe = parseRecipe(tinyRecipeFile({ local: { rule: 'dgl', hierarchy, patches } }), 'example');
  const step = buildStep(recipe, batch, regression);
  expect([...step.gradients.keys()]).toContain('heads.1.independent.classifier.fc1.weight');
  const inputs = inputsOf(step, recipe);
  const names = [...step.updates.keys()];
  const wanted: Value[] = [...step.losses.map(({ value }) => value), ...step.updates.values()];
  const totals: number[] = [];
  for (let i = 0; i < 4; i++) {
    const found = evaluate(wanted, inputs);
    totals.push(step.losses.reduce((sum, { weight }, at) => sum + weight * found[at]![0]!, 0));
    names.forEach((name, at) => inputs.set(name, found[step.losses.length + at]!));
  }
  expect(totals.at(-1)).toBeLessThan(0.95 * totals[0]!);
});
