/** 2-D convolution and its two gradients. Layout [N, C, H, W]; filters [out, in/groups, kh, kw]. */
import type { UsageError } from '../../errors.js';
import type { Value } from '../graph.js';
import type { ShapeRule } from '../operators.js';
import { type Dim, float32Type, type Shape, type TensorType } from '../types.js';
import { expectRanks } from './arity.js';

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

function outputSize(input: Dim, kernel: number, stride: number, padding: number, fail: Fail): number {
  if (typeof input !== 'number') throw fail('height and width must be known numbers');
  const size = Math.floor((input + padding - kernel) / stride) + 1;
  if (size < 1) throw fail(`kernel ${kernel} is larger than the padded input ${input + padding}`);
  return size;
}

const spatial = (shape: Shape): [Dim, Dim] => [shape[2]!, shape[3]!];

function outputSpatial(x: TensorType, kernel: readonly Dim[], a: ConvAttributes, fail: Fail): [number, number] {
  const [height, width] = spatial(x.shape);
  const [kh, kw] = kernel as readonly [number, number];
  return [
    outputSize(height, kh, a.strides[0], a.pads[0] + a.pads[2], fail),
    outputSize(width, kw, a.strides[1], a.pads[1] + a.pads[3], fail),
  ];
}

export const convShapes = {
  Conv: (inputs, attributes, fail) => {
    const [x, weight] = expectRanks(inputs.slice(0, 2), [4, 4], fail);
    const bias = inputs[2];
    const [out, perGroup] = weight.shape as readonly [number, number];
    const { groups } = attributes;
    if (x.shape[1] !== perGroup * groups) {
      throw fail(`input has ${x.shape[1]} channels, the filter takes ${perGroup} × ${groups} groups`);
    }
    if (out % groups !== 0) throw fail(`${out} output channels do not divide into ${groups} groups`);
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== out)) throw fail(`bias must have shape [${out}]`);
    return [float32Type([x.shape[0]!, out, ...outputSpatial(x, spatial(weight.shape), attributes, fail)])];
  },
  ConvInputGrad: (inputs, attributes, fail) => {
    const [cotangent, weight] = expectRanks(inputs, [4, 4], fail);
    const [out, perGroup] = weight.shape as readonly [number, number];
    if (cotangent.shape[1] !== out) throw fail(`cotangent has ${cotangent.shape[1]} channels, the filter makes ${out}`);
    const result = float32Type([cotangent.shape[0]!, perGroup * attributes.groups, ...attributes.inputSize]);
    const [height, width] = outputSpatial(result, spatial(weight.shape), attributes, fail);
    if (cotangent.shape[2] !== height || cotangent.shape[3] !== width)
      throw fail('inputSize does not fit the cotangent');
    return [result];
  },
  ConvWeightGrad: (inputs, attributes, fail) => {
    const [x, cotangent] = expectRanks(inputs, [4, 4], fail);
    const [height, width] = outputSpatial(x, attributes.kernel, attributes, fail);
    if (cotangent.shape[2] !== height || cotangent.shape[3] !== width || cotangent.shape[0] !== x.shape[0]) {
      throw fail('cotangent does not fit the input');
    }
    return [float32Type([cotangent.shape[1]!, (x.shape[1] as number) / attributes.groups, ...attributes.kernel])];
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
