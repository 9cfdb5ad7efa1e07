/** Small models for tests of a runtime. */
import { elementCount, float32 } from '../src/files/tensor.js';
import type { HostTensor } from '../src/files/tensor.js';
import { encodeModel } from '../src/onnx/encode.js';
import type { OnnxAttribute, OnnxNode, OnnxTensor, OnnxValueInfo } from '../src/onnx/model.js';
import { int64Tensor } from './onnx-models.js';
import type { DeviceTensor, Runtime } from '../src/runtime/runtime.js';

/** A graph in which only what a test is about needs saying. */
export interface SmallModel {
  readonly inputs: Readonly<Record<string, ValueType>>;
  readonly outputs: Readonly<Record<string, ValueType>>;
  readonly nodes: readonly SmallNode[];
  readonly initializers?: readonly OnnxTensor[];
}

type Shape = readonly (number | string)[];
type ValueType = Shape | { readonly dtype: OnnxValueInfo['dtype']; readonly shape: Shape | null };

/** Operator, inputs, outputs, integer attributes. */
type SmallNode = readonly [string, readonly string[], readonly string[], Readonly<Record<string, number | number[]>>?];

export function smallModel({ inputs, outputs, nodes, initializers = [] }: SmallModel): Uint8Array {
  return encodeModel({
    irVersion: 8,
    opsets: { '': 17 },
    producerName: 'hpff',
    producerVersion: '0',
    graph: {
      name: 'small',
      inputs: valueInfos(inputs),
      outputs: valueInfos(outputs),
      nodes: nodes.map(node),
      initializers,
    },
  });
}

function valueInfos(values: Readonly<Record<string, ValueType>>): OnnxValueInfo[] {
  return Object.entries(values).map(([name, type]) => ({
    name,
    ...('dtype' in type ? type : { dtype: 'float32' as const, shape: type }),
  }));
}

function node([opType, inputs, outputs, attributes = {}]: SmallNode, index: number): OnnxNode {
  return {
    name: `${opType}${index}`,
    domain: '',
    opType,
    inputs,
    outputs,
    attributes: Object.fromEntries(
      Object.entries(attributes).map(([name, value]): [string, OnnxAttribute] => [
        name,
        typeof value === 'number' ? { type: 'int', value } : { type: 'ints', value },
      ]),
    ),
  };
}

/** One of each element type, and of odd shapes. */
export const sampleTensors: readonly HostTensor[] = [
  float32([2, 3], [1, -2, 3.5, 1e-30, -0, 6]),
  { dtype: 'int64', shape: [3], data: BigInt64Array.of(1n, -2n, 2n ** 40n) },
  { dtype: 'int32', shape: [2], data: Int32Array.of(-7, 2 ** 30) },
  { dtype: 'uint8', shape: [5], data: Uint8Array.of(1, 2, 3, 4, 255) },
  { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) },
  float32([0, 4], []),
  float32([], [7]),
];

/** y = x², updated = w - x² */
export const squares = smallModel({
  inputs: { x: ['N'], w: ['N'] },
  outputs: { y: ['N'], updated: ['N'] },
  nodes: [
    ['Mul', ['x', 'x'], ['y']],
    ['Sub', ['w', 'y'], ['updated']],
  ],
});

const CHANNELS = 16;
const SIDE = 32;

/** A graph that takes a while: `depth` convolutions of `x` [N, 16, 32, 32] by `w`, their outputs' sums over the images as `y`. */
export function deepModel(depth: number): Uint8Array {
  const shape = ['N', CHANNELS, SIDE, SIDE];
  const value = (layer: number): string => (layer === 0 ? 'x' : `h${layer}`);
  const layers = Array.from({ length: depth }, (_, layer): SmallNode => {
    return ['Conv', [value(layer), 'w'], [value(layer + 1)], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }];
  });
  return smallModel({
    inputs: { x: shape, w: [CHANNELS, CHANNELS, 3, 3] },
    outputs: { y: [CHANNELS] },
    nodes: [...layers, ['ReduceSum', [value(depth), 'axes'], ['y'], { keepdims: 0 }]],
    initializers: [int64Tensor('axes', [3], [0n, 2n, 3n])],
  });
}

/** Feeds of the deep model for `images` images; the same numbers every time. */
export function feedsOfDeepModel(runtime: Runtime, images: number): Map<string, DeviceTensor> {
  return new Map([
    ['x', runtime.upload(waves([images, CHANNELS, SIDE, SIDE], 1))],
    ['w', runtime.upload(waves([CHANNELS, CHANNELS, 3, 3], 0.1))],
  ]);
}

/** Numbers between -scale and scale without a pattern that sums would hide. */
function waves(shape: readonly number[], scale: number): HostTensor {
  return float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => scale * Math.sin(i * i)),
  );
}
