import onnxProto from 'onnx-proto';
import { describe, expect, it } from 'vitest';
import { exampleModel, floatTensor, node } from '../../test/onnx-models.js';
import { UsageError } from '../errors.js';
import { encodeModel } from './encode.js';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxTensor } from './model.js';

const { ModelProto } = onnxProto.onnx;

function withGraph(changes: Partial<OnnxGraph>): OnnxModel {
  const model = exampleModel();
  return { ...model, graph: { ...model.graph, ...changes } };
}

function withAttribute(attribute: OnnxAttribute): OnnxModel {
  return withGraph({ nodes: [node('n', 'Op', [], [], { a: attribute })] });
}

describe('encodeModel', () => {
  it('writes what another reader of the format finds', () => {
    const model = ModelProto.toObject(ModelProto.decode(encodeModel(exampleModel())), { longs: Number, bytes: Array });
    expect(model).toMatchObject({
      irVersion: 8,
      opsetImport: [
        { domain: '', version: 17 },
        { domain: 'com.microsoft', version: 1 },
      ],
      metadataProps: [
        { key: 'note', value: 'größer' },
        { key: 'seed', value: '1' },
      ],
      graph: {
        name: 'example',
        node: [
          {
            name: 'conv',
            opType: 'Conv',
            input: ['x', 'weight'],
            output: ['h'],
            attribute: [
              { name: 'auto_pad', type: 3, s: [...Buffer.from('NOTSET')] },
              { name: 'group', type: 2, i: 1 },
              { name: 'kernel_shape', type: 7, ints: [3, 3] },
              { name: 'pads', type: 7, ints: [1, 1, 1, 1] },
            ],
          },
          { attribute: [{ name: 'alpha', type: 1, f: 0.25 }] },
          { attribute: [{ name: 'value', type: 4, t: { dataType: 1, rawData: [0, 0, 0, 64] } }] },
          {},
          {},
          { input: ['c', '', 'two'] },
        ],
        input: [
          {
            name: 'x',
            type: {
              tensorType: {
                elemType: 1,
                shape: { dim: [{ dimParam: 'N' }, { dimValue: 2 }, { dimValue: 4 }, { dimValue: 4 }] },
              },
            },
          },
          {},
        ],
        output: [{ type: { tensorType: { shape: { dim: [{ dimParam: 'N' }, {}] } } } }],
        initializer: [
          {
            name: 'flat',
            dims: [2],
            dataType: 7,
            rawData: [...Array<number>(8).fill(0), ...Array<number>(8).fill(255)],
          },
          { name: 'nothing', dims: [0, 3], rawData: [] },
          { name: 'one', rawData: [0, 0, 128, 63] },
        ],
      },
    });
  });

  it('writes negative and large integers exactly', () => {
    const ints = [-1, 0, 2 ** 31, -(2 ** 31) - 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
    const bytes = encodeModel(withAttribute({ type: 'ints', value: ints }));
    const read = ModelProto.toObject(ModelProto.decode(bytes), { longs: String }) as {
      graph: { node: { attribute: { ints: string[] }[] }[] };
    };
    expect(read.graph.node[0]?.attribute[0]?.ints).toEqual(ints.map(String));
  });

  it('tells a scalar from a value of unknown rank', () => {
    const bytes = encodeModel(
      withGraph({
        outputs: [
          { name: 'scalar', dtype: 'float32', shape: [] },
          { name: 'any', dtype: 'float32', shape: null },
          { name: 'untyped', dtype: 'other', elementType: 0, shape: null },
        ],
      }),
    );
    const [scalar, any, untyped] = ModelProto.decode(bytes).graph?.output ?? [];
    expect(scalar?.type?.tensorType?.shape?.dim).toEqual([]);
    expect(any?.type?.tensorType?.shape).toBeFalsy();
    expect(any?.type?.tensorType?.elemType).toBe(1);
    expect(untyped?.type).toBeFalsy();
  });

  it('writes the same bytes whatever the order in which names were inserted', () => {
    const model = exampleModel();
    const reversed = <T>(record: Readonly<Record<string, T>>) => Object.fromEntries(Object.entries(record).reverse());
    const nodes = model.graph.nodes.map((node) => ({ ...node, attributes: reversed(node.attributes) }));
    const shuffled = {
      ...withGraph({ nodes }),
      metadata: reversed(model.metadata ?? {}),
      opsets: reversed(model.opsets),
    };
    expect(encodeModel(shuffled)).toEqual(encodeModel(model));
  });

  it('gives bytes that share memory with nothing, so that they can be transferred', () => {
    const bytes = encodeModel(exampleModel());
    expect(bytes.constructor).toBe(Uint8Array);
    expect(bytes.buffer.byteLength).toBe(bytes.length);
  });

  it('copies tensor data once', () => {
    const length = 2 ** 26;
    const data: OnnxTensor = { name: 'w', dtype: 'uint8', shape: [length], bytes: new Uint8Array(length) };
    const before = process.memoryUsage().arrayBuffers;
    const bytes = encodeModel(withGraph({ initializers: [data] }));
    expect(bytes.length).toBeGreaterThan(length);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1.1 * length);
  });

  it.each<[string, OnnxModel, RegExp]>([
    [
      'a fraction for an integer',
      withAttribute({ type: 'int', value: 0.5 }),
      /attribute "a" of node "n" \(Op\): 0.5 is not an integer/,
    ],
    ['an integer past 2^53', withAttribute({ type: 'ints', value: [2 ** 53] }), /9007199254740992 is not an integer/],
    ['what was not carried', withAttribute({ type: 'other', kind: 'GRAPHS' }), /GRAPHS was not carried/],
    [
      'a model that was not carried whole',
      { ...exampleModel(), notCarried: ['functions'] },
      /functions were not carried/,
    ],
    [
      'data that do not fill the shape',
      withGraph({ initializers: [floatTensor('w', [2, 2], [1])] }),
      /tensor "w" \[2, 2\]: has 4 bytes of data, needs 16/,
    ],
    [
      'a negative dimension',
      withGraph({ inputs: [{ name: 'x', dtype: 'float32', shape: [-1] }] }),
      /shape of value "x": dimension -1 is negative/,
    ],
    [
      'a type without a code',
      withGraph({ inputs: [{ name: 'x', dtype: 'other', shape: [] }] }),
      /value "x" has dtype 'other' but no elementType code/,
    ],
    [
      'a container that is not carried',
      withGraph({ inputs: [{ name: 'x', dtype: 'other', elementType: 0, shape: null, container: 'other' }] }),
      /value "x": its type was not carried/,
    ],
  ])('refuses %s', (_, model, message) => {
    expect(() => encodeModel(model)).toThrow(UsageError);
    expect(() => encodeModel(model)).toThrow(message);
  });

  it('refuses a model larger than the format allows', () => {
    const half = { dtype: 'uint8' as const, shape: [2 ** 30], bytes: new Uint8Array(2 ** 30) };
    const model = withGraph({
      initializers: [
        { ...half, name: 'a' },
        { ...half, name: 'b' },
      ],
    });
    expect(() => encodeModel(model)).toThrow(/bytes; the format allows at most 2147483647/);
  });
});
