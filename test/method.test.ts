/**
 * The method against its definition: the gradient of every parameter in the step graph equals that of the losses which may reach it, got
 * by differentiating the whole graph at once, in float64. This holds the relay, the shared backward pass of the last module, and the
 * patches with their recomputation against plain chain rule.
 */
import { describe, expect, test } from 'vitest';
import { gradients } from '../src/grad/index.js';
import type { Value } from '../src/graph/index.js';
import { elementCount } from '../src/files/tensor.js';
import { buildStep, type StepGraph } from '../src/local/index.js';
import { initialize } from '../src/nn/index.js';
import { parseRecipe, type Recipe } from '../src/recipe/index.js';
import { Random } from '../src/random.js';
import { expectClose } from './reference/compare.js';
import { evaluate } from './reference/evaluate.js';

const batch = 4;
const hierarchy = { independent: 0.3, cascade: 0.7 };
const patches = (on: string[], weights: string, fuse: string): object => ({ grid: 2, on, weights, fuse });

const variants: [string, object, number][] = [
  ['back-propagation', { rule: 'bp' }, 1],
  ['DGL', { rule: 'dgl' }, 3],
  ['DGL + HiLo', { rule: 'dgl', hierarchy }, 4],
  ['InfoPro', { rule: 'infopro', lambda: { decoder: [5, 0.2], classifier: [0.5, 0.1] } }, 3],
  ['InfoPro, contrastive', { rule: 'infopro', classifier: { net: '1c2f', features: 6, loss: 'contrastive' } }, 3],
  ['InfoPro + HPFF as released', { rule: 'infopro', hierarchy, patches: patches(['decoder'], 'separate', 'sum') }, 4],
  [
    'InfoPro + HPFF as published',
    { rule: 'infopro', hierarchy, patches: patches(['decoder', 'classifier'], 'shared', 'mean') },
    4,
  ],
  ['InfoPro + PFF, shared, sum', { rule: 'infopro', patches: patches(['classifier', 'decoder'], 'shared', 'sum') }, 3],
  ['DGL + PFF, separate, mean', { rule: 'dgl', patches: patches(['classifier'], 'separate', 'mean') }, 3],
  ['cascade only', { rule: 'infopro', hierarchy: { independent: 0, cascade: 1 } }, 4],
  ['independent only', { rule: 'infopro', hierarchy: { independent: 1, cascade: 0 } }, 3],
  ['silent last cascade, λ to 0', { rule: 'infopro', hierarchy, lambda: { decoder: [5, 0], classifier: [0.5, 0] } }, 4],
  ['decoder without weight', { rule: 'infopro', lambda: { decoder: [0, 0], classifier: [0.5, 0.5] } }, 3],
  ['first module without loss', { rule: 'infopro', lambda: { decoder: [0, 1], classifier: [0, 1] } }, 3],
  [
    'silent, fused patches',
    {
      rule: 'infopro',
      hierarchy,
      lambda: { decoder: [5, 0], classifier: [0.5, 0] },
      patches: patches(['decoder', 'classifier'], 'shared', 'mean'),
    },
    4,
  ],
  ['two modules', { rule: 'infopro', hierarchy }, 2],
];

/** Rules whose graphs are large: three modules of a block each. */
const shallow: [string, object][] = [
  [
    'PredSim + PFF, separate, sum',
    { rule: 'predsim', patches: patches(['similarity', 'classifier'], 'separate', 'sum') },
  ],
  ['PredSim + HPFF', { rule: 'predsim', hierarchy, patches: patches(['similarity', 'classifier'], 'shared', 'mean') }],
  ['cascade only, PredSim', { rule: 'predsim', hierarchy: { independent: 0, cascade: 1 } }],
  ['AugLocal + PFF, separate, sum', { rule: 'auglocal', patches: patches(['classifier'], 'separate', 'sum') }],
  ['AugLocal + HPFF', { rule: 'auglocal', hierarchy, patches: patches(['classifier'], 'shared', 'mean') }],
  ['independent only, AugLocal', { rule: 'auglocal', hierarchy: { independent: 1, cascade: 0 } }],
];

function recipeOf(local: object, modules: number, depth: number): Recipe {
  return parseRecipe(
    {
      name: 'small',
      network: { type: 'cifar-resnet', depth, widths: [2, 2, 3, 4], classes: 3, image: [2, 8, 8] },
      split: { modules },
      local: { classifier: { net: '2c2f', features: 5 }, ...local },
      optimizer: { type: 'sgd', learningRate: 0.1 },
      schedule: { type: 'constant', epochs: 1 },
      data: { dataset: 'digits', batch, normalize: { mean: [0.4, 0.5], std: [0.2, 0.25] } },
    },
    'small',
  );
}

/** Losses whose gradient may enter module `index`, with their weight there. */
function reaching(step: StepGraph, recipe: Recipe, index: number): { value: Value; weight: number }[] {
  return step.losses.flatMap(({ name, weight, value }) => {
    const [module, level] = name.split('/');
    if (Number(module) === index) return [{ value, weight }];
    const fromAbove = step.shape.relays && Number(module) === index + 1;
    if (fromAbove && level === 'cascade') return [{ value, weight }];
    if (fromAbove && level === 'final') return [{ value, weight: recipe.local.hierarchy!.cascade }];
    return [];
  });
}

function inputsOf(step: StepGraph): Map<string, Float64Array | BigInt64Array> {
  const random = new Random(7, 'inputs');
  const inputs = new Map<string, Float64Array | BigInt64Array>();
  for (const [name, { data }] of initialize(step.parameters, 3))
    inputs.set(name, Float64Array.from(data as Float32Array));
  const image = step.graph.inputs.get('image')!.shape as number[];
  inputs.set(
    'image',
    Float64Array.from({ length: elementCount(image) }, () => random.normal()),
  );
  inputs.set(
    'label',
    BigInt64Array.from({ length: batch }, (_, i) => BigInt([0, 1, 2, 0][i % 4]!)),
  );
  return inputs;
}

const cases = [
  ...variants.map((variant) => [...variant, 14] as const),
  ...shallow.map((variant) => [...variant, 3, 8] as const),
];

describe.each(cases)('%s', (_name, local, modules, depth) => {
  const recipe = recipeOf(local, modules, depth);

  test('gradients are those of the losses that may reach each parameter', () => {
    const step = buildStep(recipe, batch);
    const inputs = inputsOf(step);
    const covered = new Set<string>();
    for (const { index, parameters, headParameters } of step.modules) {
      const compare = (names: readonly string[], losses: { value: Value; weight: number }[]): void => {
        if (names.length === 0) return;
        const seeds = losses.map(({ value, weight }) => ({ output: value, cotangent: step.graph.scalar(weight) }));
        const direct = gradients(
          seeds,
          names.map((name) => step.graph.inputs.get(name)!),
          'zeros',
        );
        const expected = evaluate(direct, inputs);
        const found = evaluate(
          names.map((name) => step.gradients.get(name)!),
          inputs,
        );
        names.forEach((name, i) => {
          covered.add(name);
          // Constants such as loss weights are float32 in the graph.
          expectClose(found[i]!, expected[i]!, 1e-7, name);
        });
      };
      compare(parameters, reaching(step, recipe, index));
      compare(
        headParameters,
        step.losses.filter(({ name }) => name.startsWith(`${index}/`)),
      );
    }
    const trainable = step.parameters.filter(({ kind }) => kind === 'parameter').map(({ name }) => name);
    expect([...covered].sort()).toEqual(trainable.sort());
    expect([...step.gradients.keys()].sort()).toEqual(trainable.sort());
  });
});

test('modules do not see further than one hop', () => {
  const recipe = recipeOf({ rule: 'infopro', hierarchy }, 4, 14);
  const step = buildStep(recipe, batch);
  const above = new Set(step.modules[2]!.headParameters);
  const reached = new Set<string>();
  const seen = new Set<Value>();
  const pending = step.modules[0]!.parameters.map((name) => step.gradients.get(name)!);
  for (let value = pending.pop(); value; value = pending.pop()) {
    if (seen.has(value)) continue;
    seen.add(value);
    if (value.source.kind === 'input') reached.add(value.source.name);
    pending.push(...(value.producer?.inputs ?? []));
  }
  expect([...reached].filter((name) => above.has(name))).toEqual([]);
  expect(reached).toContain(step.modules[1]!.headParameters[0]);
});
