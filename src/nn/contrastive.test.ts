/** Supervised contrastive loss against its definition, and where the definition is silent. */
import { expect, test } from 'vitest';
import { evaluate } from '../../test/reference/evaluate.js';
import { Graph } from '../graph/index.js';
import { supervisedContrastive } from './contrastive.js';

/** The loss of features [N, 2] in the graph. */
function lossOf(features: number[][], labels: number[], temperature: number): number {
  const graph = new Graph('contrastive');
  const loss = supervisedContrastive(
    graph.input('features', 'float32', [features.length, 2]),
    graph.input('labels', 'int64', [labels.length]),
    3,
    temperature,
  );
  const inputs = new Map<string, Float64Array | BigInt64Array>([
    ['features', Float64Array.from(features.flat())],
    ['labels', BigInt64Array.from(labels, BigInt)],
  ]);
  return evaluate([loss], inputs)[0]![0]!;
}

test('is the mean over anchors of the mean over positives', () => {
  const features = [
    [1, 0.5],
    [0.2, 1],
    [-1, 0.3],
    [2, 2],
  ];
  const labels = [0, 0, 1, 0];
  const temperature = 0.5;
  const unit = features.map(([a, b]) => [a! / Math.hypot(a!, b!), b! / Math.hypot(a!, b!)]);
  const similarity = (i: number, j: number): number =>
    (unit[i]![0]! * unit[j]![0]! + unit[i]![1]! * unit[j]![1]!) / temperature;
  const others = (i: number): number[] => [0, 1, 2, 3].filter((j) => j !== i);
  let expected = 0;
  for (const i of [0, 1, 2, 3]) {
    const positives = others(i).filter((j) => labels[j] === labels[i]);
    const partition = others(i).reduce((sum, j) => sum + Math.exp(similarity(i, j)), 0);
    for (const p of positives) expected -= (similarity(i, p) - Math.log(partition)) / positives.length / 4;
  }
  expect(lossOf(features, labels, temperature)).toBeCloseTo(expected, 6);
});

test('an image without others of its class, or alone in its batch, counts as 0', () => {
  expect(Math.abs(lossOf([[1, 2]], [1], 0.07))).toBe(0);
  const apart = [
    [1, 0],
    [0, 1],
  ];
  expect(Math.abs(lossOf(apart, [0, 1], 0.07))).toBe(0);
});
