import { describe, expect, test } from 'vitest';
import { InputError } from '../errors.js';
import { float32, type HostTensor, type NamedTensors } from '../files/tensor.js';
import { checkWeights, type WeightSpec } from './check-weights.js';

const specs: readonly WeightSpec[] = [
  { name: 'stem.conv.weight', shape: [2, 3], kind: 'parameter' },
  { name: 'stem.bn.running_mean', shape: [2], kind: 'statistic' },
  { name: 'stem.bn.running_var', shape: [2], kind: 'statistic' },
];
const weight = float32([2, 3], [1, 2, 3, 4, 5, 6]);
const mean = float32([2], [7, 8]);
const variance = float32([2], [9, 10]);
const complete: NamedTensors = new Map([
  ['stem.bn.running_var', variance],
  ['stem.conv.weight', weight],
  ['stem.bn.running_mean', mean],
]);

test('tensors that fit are given back in the order of the parameters', () => {
  const entries = [...checkWeights(complete, specs, 'w')];
  expect(entries).toEqual([
    ['stem.conv.weight', weight],
    ['stem.bn.running_mean', mean],
    ['stem.bn.running_var', variance],
  ]);
});

test('absent statistics become 0 and 1 where they are optional; those that are there are kept', () => {
  const tensors: NamedTensors = new Map([['stem.conv.weight', weight]]);
  const optional = { statisticsOptional: true };
  const filled = checkWeights(tensors, specs, 'w', optional);
  expect(filled.get('stem.bn.running_mean')).toEqual(float32([2], [0, 0]));
  expect(filled.get('stem.bn.running_var')).toEqual(float32([2], [1, 1]));
  expect(checkWeights(complete, specs, 'w', optional).get('stem.bn.running_var')).toBe(variance);
  expect(tensors.size).toBe(1);
});

describe('refusals', () => {
  const changed = (name: string, tensor: HostTensor | null): NamedTensors => {
    const tensors = new Map(complete);
    if (tensor) tensors.set(name, tensor);
    else tensors.delete(name);
    return tensors;
  };
  test.each<[string, NamedTensors, string]>([
    [
      'WEIGHTS_MISSING',
      changed('stem.conv.weight', null),
      'a\\u{a}b: tensor "stem.conv.weight": found nothing among 2 tensors, allowed: float32 [2, 3]',
    ],
    [
      'WEIGHTS_MISSING',
      changed('stem.bn.running_mean', null),
      'a\\u{a}b: tensor "stem.bn.running_mean": found nothing among 2 tensors, allowed: float32 [2]',
    ],
    [
      'WEIGHTS_SHAPE',
      changed('stem.conv.weight', float32([3, 2], weight.data)),
      'a\\u{a}b: tensor "stem.conv.weight": found shape [3, 2], allowed: [2, 3]',
    ],
    [
      'WEIGHTS_SHAPE',
      changed('stem.conv.weight', float32([2, 3, 1], weight.data)),
      'a\\u{a}b: tensor "stem.conv.weight": found shape [2, 3, 1], allowed: [2, 3]',
    ],
    [
      'WEIGHTS_DTYPE',
      changed('stem.bn.running_var', { dtype: 'int64', shape: [2], data: BigInt64Array.of(1n, 1n) }),
      'a\\u{a}b: tensor "stem.bn.running_var": found int64, allowed: float32',
    ],
    [
      'WEIGHTS_UNKNOWN',
      changed('fc\tweight', mean),
      'a\\u{a}b: tensor "fc\\u{9}weight": the recipe has none of that name, ' +
        'allowed: the 3 parameters of the recipe, stem.conv.weight … stem.bn.running_var',
    ],
  ])('%s: %#', (code, tensors, message) => {
    const check = (): unknown => checkWeights(tensors, specs, 'a\nb');
    expect(check).toThrow(InputError);
    expect(check).toThrow(expect.objectContaining({ code, message }) as Error);
  });

  test('a parameter that is absent is refused where statistics are optional, too', () => {
    const tensors = changed('stem.conv.weight', null);
    expect(() => checkWeights(tensors, specs, 'w', { statisticsOptional: true })).toThrow('"stem.conv.weight"');
  });
});

test.each([NaN, Infinity, -Infinity])('an element that is %d is refused by name and place', (value) => {
  const tensors = new Map([['w', float32([3], [1, 2, value])]]);
  expect(() => checkWeights(tensors, [{ name: 'w', shape: [3], kind: 'parameter' }], 'f')).toThrow(
    `f: tensor "w": element 2 is ${value}, allowed: finite numbers`,
  );
});

test('a running variance is not negative; a running mean may be', () => {
  const check = (name: string): unknown =>
    checkWeights(new Map([[name, float32([2], [0, -0.5])]]), [{ name, shape: [2], kind: 'statistic' }], 'f');
  expect(() => check('bn.running_var')).toThrow(
    'f: tensor "bn.running_var": element 1 is -0.5, allowed: finite numbers ≥ 0',
  );
  expect(() => check('bn.running_mean')).not.toThrow();
});
