/** Shape inference: what operators give, and what they refuse, at the place where the node is added. */
import { describe, expect, it } from 'vitest';
import { UsageError } from '../errors.js';
import {
  adaptiveAveragePool,
  add,
  averagePool,
  batchNormInference,
  batchNormTrain,
  binaryCrossEntropy,
  concat,
  conv,
  exp,
  expand,
  flatten,
  globalAveragePool,
  Graph,
  linear,
  matmul,
  oneHot,
  pad,
  reduceMean,
  reduceSum,
  reluGrad,
  reshape,
  resizeBilinear,
  type Shape,
  slice,
  softmaxCrossEntropy,
  transpose,
  type Value,
} from './index.js';
import { broadcastAxes, broadcastShapes, staticShape } from './types.js';

/** A graph, and inputs of it made where they are needed. */
function start() {
  const graph = new Graph('net');
  let made = 0;
  const f = (...shape: Shape): Value => graph.input(`f${made++}`, 'float32', shape);
  const i = (...shape: Shape): Value => graph.input(`i${made++}`, 'int64', shape);
  return { graph, f, i };
}

type Build = (inputs: ReturnType<typeof start>) => unknown;

describe('operators give', () => {
  const cases: [string, (inputs: ReturnType<typeof start>) => Value, Shape][] = [
    ['broadcast sums', ({ f }) => add(f(3, 1, 5), f('N', 1, 2, 1)), ['N', 3, 2, 5]],
    [
      'strided padded convolutions',
      ({ f }) => conv(f('N', 4, 9, 8), f(6, 2, 3, 3), { stride: 2, padding: 1, groups: 2 }),
      ['N', 6, 5, 4],
    ],
    ['products of stacks', ({ f }) => matmul(f(5, 1, 2, 3), f(4, 7, 3), { transB: true }), [5, 4, 2, 7]],
    ['linear layers', ({ f }) => linear(f('N', 8), f(3, 8), f(3)), ['N', 3]],
    ['kept reduced axes', ({ f }) => reduceSum(f(2, 3, 4), [0, 2], true), [1, 3, 1]],
    ['scalars of all axes', ({ f }) => reduceMean(f(2, 3, 4)), []],
    ['transposes', ({ f }) => transpose(f('N', 2, 3), [2, 0, 1]), [3, 'N', 2]],
    ['slices', ({ f }) => slice(f('N', 8), { axes: [1], starts: [2], ends: [5] }), ['N', 3]],
    ['pads', ({ f }) => pad(f('N', 2), { before: [0, 1], after: [0, 2] }), ['N', 5]],
    ['joins', ({ f }) => concat([f('N', 2), f('N', 3)], 1), ['N', 5]],
    ['flat maps', ({ f }) => flatten(f('N', 2, 3, 4)), ['N', 24]],
    ['expansions', ({ f }) => expand(f('N', 1), [4, 'N', 3]), [4, 'N', 3]],
    ['one-hot rows', ({ i }) => oneHot(i('N'), 10), ['N', 10]],
    ['pooled maps', ({ f }) => averagePool(f('N', 2, 7, 6), [3, 2], [2, 2]), ['N', 2, 3, 3]],
    ['adaptively pooled maps', ({ f }) => adaptiveAveragePool(f('N', 2, 7, 6), [2, 2]), ['N', 2, 2, 2]],
    ['globally pooled maps', ({ f }) => globalAveragePool(f('N', 2, 7, 6)), ['N', 2]],
    ['resized maps', ({ f }) => resizeBilinear(f('N', 2, 7, 6), [8, 8]), ['N', 2, 8, 8]],
    ['normalised vectors', ({ f }) => batchNormTrain(f(5, 2), f(2), f(2)).y, [5, 2]],
    ['losses', ({ f, i }) => softmaxCrossEntropy(f(5, 3), i(5)), []],
  ];
  it.each(cases)('%s', (_, build, shape) => {
    expect(build(start()).shape).toEqual(shape);
  });

  it('what needs no node without one', () => {
    const { graph, f } = start();
    const x = f(2, 3, 4, 4);
    expect(resizeBilinear(x, [4, 4])).toBe(x);
    expect(concat([x], 1)).toBe(x);
    expect(graph.nodes).toHaveLength(0);
  });
});

describe('operators refuse', () => {
  const cases: [string, Build, string][] = [
    [
      'shapes that do not broadcast',
      ({ f }) => add(f(2, 3), f(2)),
      'Add(float32[2, 3], float32[2]): shapes do not broadcast',
    ],
    [
      'an unknown beside another length',
      ({ f }) => add(f('N'), f(2)),
      'Add(float32[N], float32[2]): shapes do not broadcast',
    ],
    ['mixed element types', ({ f, i }) => add(f(2), i(2)), 'Add(float32[2], int64[2]): element types differ'],
    ['integers where floats are taken', ({ i }) => exp(i(2)), 'Exp(int64[2]): input 0 must be float32, found int64'],
    ['a mask of another shape', ({ f }) => reluGrad(f(2), f(3)), 'ReluGrad(float32[2], float32[3]): shapes differ'],
    ['a missing operand', ({ graph, f }) => graph.apply('Mul', [f(2)], {}), 'Mul(float32[2]): takes 2 inputs, found 1'],
    [
      'channels that the filter does not take',
      ({ f }) => conv(f(2, 4, 8, 8), f(6, 3, 3, 3)),
      'Conv(float32[2, 4, 8, 8], float32[6, 3, 3, 3]): input has 4 channels, the filter takes 3 × 1 groups',
    ],
    [
      'output channels that do not divide into groups',
      ({ f }) => conv(f(2, 4, 8, 8), f(5, 2, 3, 3), { groups: 2 }),
      'Conv(float32[2, 4, 8, 8], float32[5, 2, 3, 3]): 5 output channels do not divide into 2 groups',
    ],
    [
      'a kernel beyond the map',
      ({ f }) => conv(f(2, 4, 3, 8), f(5, 4, 5, 5)),
      'Conv(float32[2, 4, 3, 8], float32[5, 4, 5, 5]): kernel 5 is larger than the padded input 3',
    ],
    [
      'a bias of another length',
      ({ f }) => conv(f(2, 4, 8, 8), f(5, 4, 3, 3), { bias: f(4) }),
      'Conv(float32[2, 4, 8, 8], float32[5, 4, 3, 3], float32[4]): bias must have shape [5]',
    ],
    [
      'a stride of nought',
      ({ f }) => conv(f(2, 4, 8, 8), f(5, 4, 3, 3), { stride: 0 }),
      'Conv(float32[2, 4, 8, 8], float32[5, 4, 3, 3]): strides must be integers from 1 on, found 0',
    ],
    [
      'negative padding',
      ({ f }) => conv(f(2, 4, 8, 8), f(5, 4, 3, 3), { padding: -1 }),
      'Conv(float32[2, 4, 8, 8], float32[5, 4, 3, 3]): pads must be integers from 0 on, found -1',
    ],
    [
      'a map of unknown height',
      ({ f }) => conv(f(2, 4, 'H', 8), f(5, 4, 3, 3)),
      'Conv(float32[2, 4, H, 8], float32[5, 4, 3, 3]): axis 2 must be a known number, found H',
    ],
    [
      'a map of too few axes',
      ({ f }) => globalAveragePool(f(2, 4)),
      'GlobalAveragePool(float32[2, 4]): input 0 must have 4 axes, found 2',
    ],
    [
      'an input gradient of another size',
      ({ graph, f }) =>
        graph.apply('ConvInputGrad', [f(2, 5, 4, 4), f(5, 3, 3, 3)], {
          strides: [2, 2],
          pads: [1, 1, 1, 1],
          groups: 1,
          inputSize: [9, 8],
        }),
      'ConvInputGrad(float32[2, 5, 4, 4], float32[5, 3, 3, 3]): inputSize [9, 8] gives maps of [5, 4]',
    ],
    [
      'a cotangent of another size',
      ({ graph, f }) =>
        graph.apply('ConvWeightGrad', [f(2, 3, 8, 8), f(2, 5, 8, 7)], {
          strides: [1, 1],
          pads: [1, 1, 1, 1],
          groups: 1,
          kernel: [3, 3],
        }),
      'ConvWeightGrad(float32[2, 3, 8, 8], float32[2, 5, 8, 7]): the input gives cotangents of [2, 5, 8, 8]',
    ],
    [
      'a filter gradient whose channels do not divide',
      ({ graph, f }) =>
        graph.apply('ConvWeightGrad', [f(2, 3, 8, 8), f(2, 4, 8, 8)], {
          strides: [1, 1],
          pads: [0, 0, 0, 0],
          groups: 2,
          kernel: [1, 1],
        }),
      'ConvWeightGrad(float32[2, 3, 8, 8], float32[2, 4, 8, 8]): 3 input and 4 output channels do not divide into 2 groups',
    ],
    [
      'inner dimensions that differ',
      ({ f }) => matmul(f(2, 3), f(2, 3)),
      'MatMul(float32[2, 3], float32[2, 3]): inner dimensions differ: 3 and 2',
    ],
    [
      'a product of vectors',
      ({ f }) => matmul(f(3), f(3, 2)),
      'MatMul(float32[3], float32[3, 2]): operands need at least 2 axes',
    ],
    ['a shape of another size', ({ f }) => reshape(f(2, 3), [4]), 'Reshape(float32[2, 3]): cannot take shape [4]'],
    [
      'a shape with two unknowns',
      ({ f }) => reshape(f('N', 'M', 2), [2, 'N', 'M']),
      'Reshape(float32[N, M, 2]): shape [2, N, M] has more than one unknown',
    ],
    [
      'a negative length',
      ({ f }) => reshape(f(2), [-1, -2]),
      'Reshape(float32[2]): dimensions must be integers from 0 on, found -1',
    ],
    ['an axis twice', ({ f }) => transpose(f(2, 3), [0, 0]), 'Transpose(float32[2, 3]): axis 0 is given twice'],
    ['an axis beyond', ({ f }) => reduceSum(f(2, 3), [2]), 'ReduceSum(float32[2, 3]): axis 2 is outside 0…1'],
    [
      'a slice beyond',
      ({ f }) => slice(f(2, 3), { axes: [1], starts: [1], ends: [4] }),
      'Slice(float32[2, 3]): slice 1…4 does not fit axis 1',
    ],
    [
      'a slice of an unknown',
      ({ f }) => slice(f('N'), { axes: [0], starts: [0], ends: [1] }),
      'Slice(float32[N]): slice 0…1 does not fit axis 0',
    ],
    [
      'a slice without its end',
      ({ f }) => slice(f(2, 3), { axes: [1], starts: [1], ends: [] }),
      'Slice(float32[2, 3]): needs starts and ends for all axes',
    ],
    [
      'cutting by padding',
      ({ f }) => pad(f(2), { before: [-1], after: [0] }),
      'Pad(float32[2]): padding must be integers from 0 on, found -1',
    ],
    [
      'joining what differs elsewhere',
      ({ f }) => concat([f(2, 3), f(3, 3)], 1),
      'Concat(float32[2, 3], float32[3, 3]): shapes differ outside axis 1',
    ],
    ['repeating what is not single', ({ f }) => expand(f(2), [4]), 'Expand(float32[2]): does not broadcast to [4]'],
    [
      'repeating an unknown number of times',
      ({ f }) => expand(f(1), ['N']),
      'Expand(float32[1]): cannot repeat along N, which is no known number',
    ],
    ['labels that are no integers', ({ f }) => oneHot(f(2), 3), 'OneHot(float32[2]): labels must be int64'],
    [
      'labels of another batch',
      ({ f, i }) => softmaxCrossEntropy(f(5, 3), i(4)),
      'SoftmaxCrossEntropy(float32[5, 3], int64[4]): labels must be int64[5]',
    ],
    [
      'targets of another shape',
      ({ f }) => binaryCrossEntropy(f(2, 3), f(3, 2)),
      'BinaryCrossEntropy(float32[2, 3], float32[3, 2]): logits and targets differ in shape',
    ],
    [
      'parameters of other channels',
      ({ f }) => batchNormTrain(f(2, 3), f(3), f(2)),
      'BatchNormTrain(float32[2, 3], float32[3], float32[2]): per-channel inputs must have shape [3]',
    ],
    [
      'statistics of other channels',
      ({ f }) => batchNormInference(f('N', 3, 4, 4), f(3), f(3), f(3), f(1)),
      'BatchNormInference(float32[N, 3, 4, 4], float32[3], float32[3], float32[3], float32[1]): per-channel inputs must have shape [3]',
    ],
    [
      'a window beyond the map',
      ({ f }) => averagePool(f(2, 3, 4, 4), [5, 1]),
      'AveragePool(float32[2, 3, 4, 4]): window 5 is larger than the input 4',
    ],
    [
      'a pooling gradient of another size',
      ({ graph, f }) =>
        graph.apply('AveragePoolGrad', [f(2, 3, 4, 4)], { kernel: [2, 2], strides: [2, 2], inputSize: [8, 10] }),
      'AveragePoolGrad(float32[2, 3, 4, 4]): inputSize [8, 10] gives maps of [4, 5]',
    ],
    [
      'resizing to nothing',
      ({ f }) => resizeBilinear(f(2, 3, 4, 4), [0, 4]),
      'ResizeBilinear(float32[2, 3, 4, 4]): size must be integers from 1 on, found 0',
    ],
  ];

  it.each(cases)('%s', (_, build, message) => {
    const inputs = start();
    let error: unknown;
    try {
      inputs.graph.scoped('layer1', () => inputs.graph.scoped('0', () => build(inputs)));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code: 'GRAPH_SHAPE', message: `net/layer1/0: ${message}` });
    expect(message).not.toContain('\n');
    expect(inputs.graph.nodes).toHaveLength(0);
  });

  it('joining nothing', () => {
    expect(() => concat([], 0)).toThrow(UsageError);
  });
});

describe('shapes', () => {
  it('broadcast as in NumPy, and say which axes they repeat', () => {
    expect(broadcastShapes([], [2, 3])).toEqual([2, 3]);
    expect(broadcastShapes([2, 1], [3])).toEqual([2, 3]);
    expect(broadcastShapes([2, 3], [2, 1, 1])).toEqual([2, 2, 3]);
    expect(broadcastShapes([2], [3])).toBeNull();
    expect(broadcastShapes(['N', 1], ['M', 1])).toBeNull();
    expect(broadcastAxes([3, 1], [2, 3, 4])).toEqual([0, 2]);
    expect(broadcastAxes([1], [1])).toEqual([]);
  });

  it('are static only where every dimension is known', () => {
    expect(staticShape([2, 3])).toEqual([2, 3]);
    expect(() => staticShape([2, 'N'])).toThrow('axis 1 of [2, N] must be a known number here');
  });
});
