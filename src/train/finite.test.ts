import { expect, test } from 'vitest';
import { float32 } from '../files/tensor.js';
import { requireFiniteEvaluation, requireFiniteLosses, requireFiniteTensors } from './finite.js';

const at = { step: 12, learningRate: 0.8000001 };
const advice =
  'training stopped: lower optimizer.learningRate (it was 0.8 here), warm up for longer, or check data.normalize';

test.each([NaN, Infinity, -Infinity])('a loss of %s is named by module, level and head', (loss) => {
  const losses = new Map([
    ['1/cascade/decoder', 1],
    ['2/independent/classifier', loss],
  ]);
  expect(() => requireFiniteLosses({ losses, total: loss }, at)).toThrow(
    expect.objectContaining({
      code: 'LOSS_NOT_FINITE',
      exitCode: 1,
      message: `step 12: module 2, independent classifier: loss is ${loss}; ${advice}`,
    }) as Error,
  );
});

test('a total that overflows is no number either', () => {
  const report = { losses: new Map([['0/final/classifier', 1]]), total: Infinity };
  expect(() => requireFiniteLosses(report, at)).toThrow(`step 12: total loss is Infinity; ${advice}`);
});

test('finite losses pass', () => {
  requireFiniteLosses({ losses: new Map([['0/final/classifier', 1e38]]), total: -1e300 }, at);
  requireFiniteEvaluation(0, at);
});

test('a test loss that is no number is refused', () => {
  expect(() => requireFiniteEvaluation(NaN, at)).toThrow(`step 12: test loss is NaN; ${advice}`);
});

test('weights that are no numbers are refused by name', () => {
  const good = float32([2], [0, -1e38]);
  requireFiniteTensors(new Map([['a', good]]), at);
  const tensors = new Map([
    ['a', good],
    ['layer1.0.conv1.weight', float32([2, 2], [0, 1, -Infinity, NaN])],
  ]);
  expect(() => requireFiniteTensors(tensors, at)).toThrow(
    expect.objectContaining({
      code: 'WEIGHTS_NOT_FINITE',
      message: `step 12: layer1.0.conv1.weight holds -Infinity at 2; ${advice}`,
    }) as Error,
  );
});
