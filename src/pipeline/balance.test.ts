/** Which modules make a stage. */
import { expect, test } from 'vitest';
import { tinyRecipe } from '../../test/support/training.js';
import { buildStep, moduleCosts } from '../local/index.js';
import { balance, memoryCosts } from './balance.js';

test.each([
  { modules: [1, 1, 1, 1], stages: [2, 2] },
  { modules: [5, 1, 1, 1], stages: [1, 3] },
  { modules: [1, 2, 3, 4, 5], stages: [3, 1, 1] },
  { modules: [0, 0, 9, 0], stages: [1, 1, 1, 1] },
  { modules: [1, 2], stages: [2] },
  { modules: [4, 4, 4, 1, 3], stages: [2, 3] },
  // A cut costs the stages on both sides of it.
  { modules: [4, 4, 4, 1, 3], cuts: [9, 9, 8, 2, 3], stages: [3, 2] },
  { modules: [4, 4, 4, 1, 3], cuts: [9, 0, 9, 9, 9], stages: [1, 4] },
])('$modules, cuts $cuts: $stages', ({ modules, cuts, stages }) => {
  const arranged = balance({ modules, ...(cuts && { cuts }) }, stages.length);
  expect(arranged.map(({ length }) => length)).toEqual(stages);
  expect(arranged.flat()).toEqual(modules.map((_, i) => i));
});

test('by memory: what a module keeps and hands on, and what lies on both sides of a cut', () => {
  const batch = 8;
  const step = buildStep(tinyRecipe(), batch);
  const { modules, cuts } = memoryCosts(step, 0);
  // Features of 8 × 8 images: 2 channels behind layer1.0, 4 and half the size behind layer2.0.
  const features = [0, 4 * 2 * 64 * batch, 4 * 4 * 16 * batch];
  expect(cuts).toEqual(features);
  const activations = moduleCosts(step).map(({ activationBytes }) => activationBytes);
  // Two cotangents at the features of module 1, one at the logits of module 2, and relays as large as the features that a module takes.
  const logits = 4 * 10 * batch;
  const handed = [
    activations[0]!,
    activations[1]! + 2 * features[2]! + features[1]!,
    activations[2]! + logits + features[2]!,
  ];
  // Parameters with their momentum; the running statistics are no parameters of the optimizer.
  const kept = moduleCosts(step).map(({ parameters, headParameters }) => 2 * 4 * (parameters + headParameters));
  expect(modules).toEqual(handed.map((bytes, i) => kept[i]! + bytes));

  const late = memoryCosts(step, 2);
  expect(late.modules).toEqual(handed.map((bytes, i) => kept[i]! + 3 * bytes));
  expect(late.cuts).toEqual(features.map((bytes) => 3 * bytes));
});
