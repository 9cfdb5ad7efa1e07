/** A small model that uses each part of the format, for tests. */
import type { OnnxModel, OnnxNode, OnnxTensor } from '../src/onnx/model.js';

/** y = Conv(pad(x)) → Relu, plus a constant of rank 0 and an empty one. */
export function exampleModel(): OnnxModel {
  return {
    irVersion: 8,
    opsets: { '': 17, 'com.microsoft': 1 },
    producerName: 'hpff',
    producerVersion: '0.1.0',
    metadata: { seed: '1', note: 'größer' },
    graph: {
      name: 'example',
      nodes: [
        node('conv', 'Conv', ['x', 'weight'], ['h'], {
          kernel_shape: { type: 'ints', value: [3, 3] },
          pads: { type: 'ints', value: [1, 1, 1, 1] },
          auto_pad: { type: 'string', value: 'NOTSET' },
          group: { type: 'int', value: 1 },
        }),
        node('activation', 'LeakyRelu', ['h'], ['a'], { alpha: { type: 'float', value: 0.25 } }),
        node('scalar', 'Constant', [], ['two'], {
          value: { type: 'tensor', value: floatTensor('', [], [2]) },
        }),
        node('scale', 'Mul', ['a', 'two'], ['b'], {}),
        node('shape', 'Reshape', ['b', 'flat'], ['c'], {}),
        node('clip', 'Clip', ['c', '', 'two'], ['y'], {}),
      ],
      inputs: [
        { name: 'x', dtype: 'float32', shape: ['N', 2, 4, 4] },
        { name: 'weight', dtype: 'float32', shape: [3, 2, 3, 3] },
      ],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['N', null] }],
      initializers: [
        int64Tensor('flat', [2], [0n, -1n]),
        floatTensor('nothing', [0, 3], []),
        floatTensor('one', [], [1]),
      ],
    },
  };
}

export function node(
  name: string,
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: OnnxNode['attributes'] = {},
  domain = '',
): OnnxNode {
  return { name, domain, opType, inputs, outputs, attributes };
}

export function floatTensor(name: string, shape: readonly number[], values: readonly number[]): OnnxTensor {
  return { name, dtype: 'float32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) };
}

export function int64Tensor(name: string, shape: readonly number[], values: readonly bigint[]): OnnxTensor {
  return { name, dtype: 'int64', shape, bytes: new Uint8Array(BigInt64Array.from(values).buffer) };
}
