/** Optimizers against their formulas, written out in double precision over several steps. */
import { expect, test } from 'vitest';
import { evaluate } from '../../test/reference/evaluate.js';
import { Graph } from '../graph/index.js';
import type { OptimizerConfig } from '../recipe/types.js';
import { createOptimizer, type OptimizerScalar, scalarInputs } from './optimizers.js';

const gradientsOf = (step: number): number[] => [0.5 - step, 0.1 * step, -2, 0.03];
const start = [1, -2, 0.5, 3];
const rates = [0.1, 0.05, 0.2];

/** Runs three steps through the graph. @param shape of the parameter */
function run(config: OptimizerConfig, shape: readonly number[] = [start.length]): number[] {
  const optimizer = createOptimizer(config);
  const graph = new Graph('optimizer');
  const scalar = scalarInputs<OptimizerScalar>(graph);
  const context = { scalar, learningRate: () => scalar('learning_rate'), coefficient: (value: number) => value };
  const stateNames = optimizer.stateNames('p');
  const next = optimizer.update(
    graph.input('p', 'float32', shape),
    graph.input('g', 'float32', shape),
    stateNames.map((name) => graph.input(name, 'float32', shape)),
    context,
  );
  let parameter: Float64Array = Float64Array.from(start);
  let states: Float64Array[] = stateNames.map(() => new Float64Array(start.length));
  rates.forEach((rate, i) => {
    const inputs = new Map<string, Float64Array>([
      ['p', parameter],
      ['g', Float64Array.from(gradientsOf(i + 1))],
    ]);
    stateNames.forEach((name, j) => inputs.set(name, states[j]!));
    for (const [name, value] of optimizer.scalarValues(rate, i + 1)) inputs.set(name, Float64Array.of(value));
    [parameter, ...states] = evaluate([next.parameter, ...next.states], inputs) as [Float64Array, ...Float64Array[]];
  });
  return [...parameter];
}

test.each([
  [0.9, true, 1e-2],
  [0.9, false, 1e-2],
  [0, false, 0],
  [0.5, true, 0],
])('SGD, momentum %d, Nesterov %s, weight decay %d', (momentum, nesterov, weightDecay) => {
  const expected = start.map((value, k) => {
    let velocity = 0;
    rates.forEach((rate, i) => {
      const gradient = gradientsOf(i + 1)[k]! + weightDecay * value;
      velocity = momentum * velocity + gradient;
      value -= rate * (nesterov ? gradient + momentum * velocity : velocity);
    });
    return value;
  });
  const found = run({ type: 'sgd', learningRate: 0.1, momentum, nesterov, weightDecay });
  found.forEach((value, k) => expect(value).toBeCloseTo(expected[k]!, 6));
});

test.each([0, 0.05])('AdamW, weight decay %d', (weightDecay) => {
  const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];
  const expected = start.map((value, k) => {
    let m = 0;
    let v = 0;
    rates.forEach((rate, i) => {
      const gradient = gradientsOf(i + 1)[k]!;
      value -= rate * weightDecay * value;
      m = beta1 * m + (1 - beta1) * gradient;
      v = beta2 * v + (1 - beta2) * gradient ** 2;
      value -= (rate * (m / (1 - beta1 ** (i + 1)))) / (Math.sqrt(v / (1 - beta2 ** (i + 1))) + epsilon);
    });
    return value;
  });
  const found = run({ type: 'adamw', learningRate: 0.1, beta1, beta2, epsilon, weightDecay });
  found.forEach((value, k) => expect(value).toBeCloseTo(expected[k]!, 4));
});

test.each<OptimizerConfig>([
  { type: 'sgd', learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.05 },
  { type: 'adamw', learningRate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05 },
])('$type: without decay of vectors, filters and matrices keep theirs', (config) => {
  const vectorsFree: OptimizerConfig = { ...config, decayVectors: false };
  expect(run(vectorsFree)).toEqual(run({ ...config, weightDecay: 0 }));
  for (const shape of [
    [2, 2],
    [4, 1, 1, 1],
  ]) {
    expect(run(vectorsFree, shape)).toEqual(run(config, shape));
    expect(run(vectorsFree, shape)).not.toEqual(run(vectorsFree));
  }
});
