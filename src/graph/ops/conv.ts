/** 2-D convolution and its two gradients. Layout [N, C, H, W]; filters [out, in/groups, kh, kw]. */
import type { UsageError } from '../../errors.js';
import type { Value } from '../graph.js';
import type { ShapeRule } from '../operators.js';
import { float32Type, type Shape, type TensorType } from '../types.js';
import { expectFloat32, expectIntegers, expectRanks, expectStatic } from './arity.js';

export interface ConvAttributes {
  readonly strides: readonly [number, number];
  /** Zeros at top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
  readonly groups: number;
}

export interface ConvOps {
  /** (x, weight) or (x, weight, bias). */
  Conv: ConvAttributes;
  /** (cotangent of the output, weight) → cotangent of the input, whose [H, W] is `inputSize`. */
  ConvInputGrad: ConvAttributes & { readonly inputSize: readonly [number, number] };
  /** (x, cotangent of the output) → cotangent of the weight, whose [kh, kw] is `kernel`. */
  ConvWeightGrad: ConvAttributes & { readonly kernel: readonly [number, number] };
}

type Fail = (problem: string) => UsageError;

function outputSize(input: number, kernel: number, stride: number, padding: number, fail: Fail): number {
  const size = Math.floor((input + padding - kernel) / stride) + 1;
  if (size < 1) throw fail(`kernel ${kernel} is larger than the padded input ${input + padding}`);
  return size;
}

const spatial = (shape: Shape, fail: Fail): [number, number] => [
  expectStatic(shape[2], 2, fail),
  expectStatic(shape[3], 3, fail),
];

function expectGeometry({ strides, pads, groups }: ConvAttributes, fail: Fail): void {
  expectIntegers('strides', strides, 1, fail);
  expectIntegers('pads', pads, 0, fail);
  expectIntegers('groups', [groups], 1, fail);
}

function outputSpatial(
  x: TensorType,
  [kh, kw]: readonly [number, number],
  a: ConvAttributes,
  fail: Fail,
): [number, number] {
  const [height, width] = spatial(x.shape, fail);
  return [
    outputSize(height, kh, a.strides[0], a.pads[0] + a.pads[2], fail),
    outputSize(width, kw, a.strides[1], a.pads[1] + a.pads[3], fail),
  ];
}

export const convShapes = {
  Conv: (inputs, attributes, fail) => {
    const [x, weight] = expectRanks(inputs.slice(0, 2), [4, 4], fail);
    const bias = inputs[2];
    if (inputs.length > 3) throw fail(`takes 2 or 3 inputs, found ${inputs.length}`);
    expectFloat32(inputs, fail);
    expectGeometry(attributes, fail);
    const [out, perGroup] = [expectStatic(weight.shape[0], 0, fail), expectStatic(weight.shape[1], 1, fail)];
    const { groups } = attributes;
    if (x.shape[1] !== perGroup * groups) {
      throw fail(`input has ${x.shape[1]} channels, the filter takes ${perGroup} × ${groups} groups`);
    }
    if (out % groups !== 0) throw fail(`${out} output channels do not divide into ${groups} groups`);
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== out)) throw fail(`bias must have shape [${out}]`);
    return [float32Type([x.shape[0]!, out, ...outputSpatial(x, spatial(weight.shape, fail), attributes, fail)])];
  },
  ConvInputGrad: (inputs, attributes, fail) => {
    const [cotangent, weight] = expectRanks(inputs, [4, 4], fail);
    expectFloat32(inputs, fail);
    expectGeometry(attributes, fail);
    expectIntegers('inputSize', attributes.inputSize, 1, fail);
    const [out, perGroup] = [expectStatic(weight.shape[0], 0, fail), expectStatic(weight.shape[1], 1, fail)];
    if (out % attributes.groups !== 0)
      throw fail(`${out} output channels do not divide into ${attributes.groups} groups`);
    if (cotangent.shape[1] !== out) throw fail(`cotangent has ${cotangent.shape[1]} channels, the filter makes ${out}`);
    const result = float32Type([cotangent.shape[0]!, perGroup * attributes.groups, ...attributes.inputSize]);
    const [height, width] = outputSpatial(result, spatial(weight.shape, fail), attributes, fail);
    if (cotangent.shape[2] !== height || cotangent.shape[3] !== width) {
      throw fail(`inputSize [${attributes.inputSize.join(', ')}] gives maps of [${height}, ${width}]`);
    }
    return [result];
  },
  ConvWeightGrad: (inputs, attributes, fail) => {
    const [x, cotangent] = expectRanks(inputs, [4, 4], fail);
    const { groups, kernel } = attributes;
    expectFloat32(inputs, fail);
    expectGeometry(attributes, fail);
    expectIntegers('kernel', kernel, 1, fail);
    const [channels, out] = [expectStatic(x.shape[1], 1, fail), expectStatic(cotangent.shape[1], 1, fail)];
    if (channels % groups !== 0 || out % groups !== 0) {
      throw fail(`${channels} input and ${out} output channels do not divide into ${groups} groups`);
    }
    const [height, width] = outputSpatial(x, kernel, attributes, fail);
    if (cotangent.shape[2] !== height || cotangent.shape[3] !== width || cotangent.shape[0] !== x.shape[0]) {
      throw fail(`the input gives cotangents of [${x.shape[0]}, ${out}, ${height}, ${width}]`);
    }
    return [float32Type([out, channels / groups, ...kernel])];
  },
} satisfies { [O in keyof ConvOps]: ShapeRule<O> };

export interface ConvOptions {
  /** Same in both directions; default 1. */
  readonly stride?: number;
  /** Zeros on every side; default 0. */
  readonly padding?: number;
  readonly groups?: number;
  readonly bias?: Value;
}

/** Cross-correlation of x [N, C, H, W] with weight [O, C/groups, kh, kw]; optional bias [O]. */
export function conv(x: Value, weight: Value, options: ConvOptions = {}): Value {
  const { stride = 1, padding = 0, groups = 1, bias } = options;
  return x.graph.apply('Conv', bias ? [x, weight, bias] : [x, weight], {
    strides: [stride, stride],
    pads: [padding, padding, padding, padding],
    groups,
  })[0]!;
}
