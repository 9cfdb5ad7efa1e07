/** What updates do beside the optimizer's step, in double precision: clipping, gathering over micro-batches, averages, factors of the learning rate. */
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../test/reference/evaluate.js';
import { Graph } from '../graph/index.js';
import type { OptimizerConfig } from '../recipe/types.js';
import { type GroupSettings, UpdateRule } from './update-rule.js';

type Tensors = Map<string, Float64Array>;

const sgd: OptimizerConfig = { type: 'sgd', learningRate: 0.5, momentum: 0.9, nesterov: true, weightDecay: 0.01 };
const adamw: OptimizerConfig = { type: 'adamw', learningRate: 0.5, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1 }; // prettier-ignore

const start = { a: [1, -2], b: [0.5, 3, -1] };
/** Gradients of run r. */
const gradientsOf = (run: number): Tensors =>
  new Map([
    ['a', Float64Array.of(3 - run, 0.25 * run)],
    ['b', Float64Array.of(-2, 0.5, run)],
  ]);

/** Parameters a and b and their state, moved by one run after the other. */
class Updates {
  readonly values: Tensors = new Map(Object.entries(start).map(([name, list]) => [name, Float64Array.from(list)]));
  private readonly graph = new Graph('updates');
  private readonly rule: UpdateRule;
  private readonly update;

  constructor(config: OptimizerConfig, runs = 1, settings: Partial<GroupSettings> = {}) {
    this.rule = new UpdateRule(config, runs);
    const group = [...this.values].map(([name, { length }]) => ({
      name,
      parameter: this.graph.input(name, 'float32', [length]),
      gradient: this.graph.input(`gradient/${name}`, 'float32', [length]),
    }));
    this.update = this.rule.update(this.graph, group, { factor: 1, averaged: true, ...settings });
    for (const { name, parameter, shape, start } of this.update.states) {
      this.values.set(name, start ? this.values.get(parameter)!.slice() : new Float64Array(shape[0]!));
    }
  }

  /** @returns the gradients that the update reports */
  run(index: number, gradients = gradientsOf(index)): Tensors {
    const inputs = new Map(this.values);
    for (const [name, gradient] of gradients) inputs.set(`gradient/${name}`, gradient);
    for (const [name, value] of this.rule.scalarValues(0.5, index)) inputs.set(name, Float64Array.of(value));
    const names = [...this.update.next.keys()];
    const reported = [...this.update.gradients.keys()];
    const found = evaluate([...this.update.next.values(), ...this.update.gradients.values()], inputs);
    names.forEach((name, i) => this.values.set(name, found[i]!));
    return new Map(reported.map((name, i) => [name, found[names.length + i]!]));
  }
}

const close = (found: Tensors, expected: Tensors, names: Iterable<string> = expected.keys()): void => {
  for (const name of names) {
    found.get(name)!.forEach((value, i) => expect(value, `${name}[${i}]`).toBeCloseTo(expected.get(name)![i]!, 6));
  }
};

describe('clipping', () => {
  test('shortens all gradients by one factor to the norm, and reports them as they were', () => {
    const gradients = gradientsOf(1);
    const norm = Math.hypot(...[...gradients.values()].flatMap((list) => [...list]));
    expect(norm).toBeGreaterThan(1.5);
    const shortened = new Map([...gradients].map(([name, list]) => [name, list.map((g) => (g * 1.5) / norm)]));
    const clipped = new Updates({ ...sgd, clipNorm: 1.5 });
    const plain = new Updates(sgd);
    expect(clipped.run(1)).toEqual(gradients);
    plain.run(1, shortened);
    close(clipped.values, plain.values);
  });

  test.each([
    ['shorter', 100],
    ['as long as that', Math.hypot(2, 0.25, 2, 0.5, 1)],
  ])('leaves gradients that are %s as they are', (_, clipNorm) => {
    const [clipped, plain] = [new Updates({ ...sgd, clipNorm }), new Updates(sgd)];
    clipped.run(1);
    plain.run(1);
    close(clipped.values, plain.values);
  });

  test('takes gradients of 0', () => {
    const zeros = new Map([...gradientsOf(1)].map(([name, list]) => [name, new Float64Array(list.length)]));
    const [clipped, plain] = [new Updates({ ...sgd, clipNorm: 1 }), new Updates(sgd)];
    clipped.run(1, zeros);
    plain.run(1, zeros);
    expect(clipped.values).toEqual(plain.values);
  });

  test.each([NaN, Infinity, 1e300])('a gradient of %d is seen in every parameter', (value) => {
    const clipped = new Updates({ ...sgd, clipNorm: 1 });
    clipped.run(1, gradientsOf(1).set('a', Float64Array.of(value, 0)));
    expect([...clipped.values.get('a')!, ...clipped.values.get('b')!].every(Number.isNaN)).toBe(true);
  });
});

describe.each([
  ['sgd', sgd],
  ['adamw', adamw],
] as const)('micro-batches, %s', (_, config) => {
  const all = { ...config, clipNorm: 2, ema: { decay: 0.9, warmup: true }, microBatch: 1 };

  test('three runs move everything as one step with the mean gradients does', () => {
    const [gathered, whole] = [new Updates(all, 3), new Updates(all)];
    for (const step of [1, 2]) {
      const runs = [3 * step - 2, 3 * step - 1, 3 * step];
      const mean = new Map(
        [...gradientsOf(1)].map(([name, { length }]) => [
          name,
          Float64Array.from({ length }, (_, i) =>
            runs.reduce((sum, run) => sum + gradientsOf(run).get(name)![i]! / 3, 0),
          ),
        ]),
      );
      const reported = runs.map((run) => gathered.run(run)).at(-1)!;
      whole.run(step, mean);
      close(reported, mean);
      close(gathered.values, whole.values);
    }
  });

  test('nothing but the sums moves before the last run', () => {
    const updates = new Updates(all, 3);
    for (const run of [1, 2, 3]) updates.run(run);
    const before = new Map(updates.values);
    updates.run(4);
    updates.run(5);
    for (const [name, value] of before) {
      if (name.startsWith('accumulated/')) expect(updates.values.get(name)).not.toEqual(value);
      else expect(updates.values.get(name), name).toEqual(value);
    }
    // A new step begins a new sum.
    updates.run(6);
    updates.run(7);
    expect(updates.values.get('accumulated/a')).toEqual(gradientsOf(7).get('a'));
  });
});

test.each([
  [true, [0.1, 2 / 11, 0.2]],
  [false, [0.2, 0.2, 0.2]],
])('averages, warm-up %s', (warmup, decays) => {
  const updates = new Updates({ ...sgd, ema: { decay: 0.2, warmup } });
  const average = Float64Array.from(start.b);
  decays.forEach((decay, i) => {
    updates.run(i + 1);
    average.forEach((value, k) => (average[k] = decay * value + (1 - decay) * updates.values.get('b')![k]!));
    close(updates.values, new Map([['ema/b', average]]));
  });
});

test('parameters that are not averaged have no average', () => {
  const updates = new Updates({ ...sgd, ema: { decay: 0.2, warmup: false } }, 1, { averaged: false });
  expect([...updates.values.keys()]).toEqual(['a', 'b', 'momentum/a', 'momentum/b']);
});

test.each([sgd, adamw])('a factor of the learning rate scales what a step moves: $type', (config) => {
  const plain = new Updates(config);
  const slow = new Updates({ ...config, learningRateFactors: { heads: 0.25 } }, 1, { factor: 0.25 });
  for (const updates of [plain, slow]) updates.run(1);
  start.a.forEach((value, i) => {
    expect(slow.values.get('a')![i]! - value).toBeCloseTo((plain.values.get('a')![i]! - value) / 4, 6);
  });
});
