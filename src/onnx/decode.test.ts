import fc from 'fast-check';
import onnxProto from 'onnx-proto';
import type { onnx } from 'onnx-proto';
import { describe, expect, it } from 'vitest';
import { arbitraryModel } from '../../test/onnx-arbitrary.js';
import { exampleModel, floatTensor, int64Tensor, node } from '../../test/onnx-models.js';
import { InputError } from '../errors.js';
import { decodeModel } from './decode.js';
import { encodeModel } from './encode.js';
import type { OnnxTensor } from './model.js';

const { ModelProto } = onnxProto.onnx;

/** A file with the fields that decodeModel asks for, and more of one's choice. */
function file(graph: onnx.IGraphProto = {}, model: onnx.IModelProto = {}): Uint8Array {
  return ModelProto.encode({ irVersion: 8, graph, ...model }).finish();
}

/** The one initializer of a file. */
function readTensor(tensor: onnx.ITensorProto): OnnxTensor | undefined {
  return decodeModel(file({ initializer: [tensor] }), 'm.onnx').graph.initializers[0];
}

function errorOf(action: () => unknown): InputError {
  try {
    action();
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('decodeModel', () => {
  it('gives back the model that encodeModel wrote', () => {
    fc.assert(
      fc.property(arbitraryModel, (model) => {
        const bytes = encodeModel(model);
        const decoded = decodeModel(bytes, 'm.onnx');
        expect(decoded).toEqual(model);
        expect(encodeModel(decoded)).toEqual(bytes);
      }),
      { numRuns: 200 },
    );
  });

  it('keeps tensor data as views of the file', () => {
    const bytes = encodeModel(exampleModel());
    const [flat] = decodeModel(bytes, 'm.onnx').graph.initializers;
    expect(flat?.bytes.buffer).toBe(bytes.buffer);
    expect(flat?.bytes).toEqual(int64Tensor('', [2], [0n, -1n]).bytes);
  });

  it('takes ai.onnx for the default domain', () => {
    const bytes = file(
      { node: [{ opType: 'Relu', domain: 'ai.onnx' }] },
      { opsetImport: [{ domain: 'ai.onnx', version: 17 }] },
    );
    const model = decodeModel(bytes, 'm.onnx');
    expect(model.opsets).toEqual({ '': 17 });
    expect(model.graph.nodes[0]?.domain).toBe('');
  });

  it('reads an absent number as 0 and a dimension of -1 as unknown', () => {
    const input = { name: 'x', type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: -1 }, {}] } } } };
    const model = decodeModel(
      file({ input: [input], node: [{ opType: 'Flatten', attribute: [{ name: 'axis', type: 2 }] }] }),
      'm.onnx',
    );
    expect(model.graph.inputs[0]?.shape).toEqual([null, null]);
    expect(model.graph.nodes[0]?.attributes).toEqual({ axis: { type: 'int', value: 0 } });
  });

  it('names what it does not carry', () => {
    const bytes = file(
      { quantizationAnnotation: [{ tensorName: 'x' }] },
      { trainingInfo: [{}], functions: [{ name: 'f' }], docString: 'left out silently' },
    );
    const model = decodeModel(bytes, 'm.onnx');
    expect(model.notCarried).toEqual(['functions', 'quantization_annotation', 'training_info']);
    expect(() => encodeModel(model)).toThrow(/^cannot write the model: functions, quantization_annotation/);
  });

  it('names fields of newer versions of the format', () => {
    const graph = [0x3a, 0x00];
    const irVersion = [0x08, 0x08];
    const field26 = [0xd2, 0x01, 0x00];
    const model = decodeModel(Uint8Array.from([...irVersion, ...graph, ...field26]), 'm.onnx');
    expect(model.notCarried).toEqual(['ModelProto 26']);
  });

  it('keeps attributes it cannot hold as other', () => {
    const attribute = [
      { name: 'ends', type: 7, ints: [2 ** 63] },
      { name: 'raw', type: 3, s: Uint8Array.of(0xff) },
      { name: 'many', type: 9, tensors: [{ dataType: 1, floatData: [1] }] },
      { name: 'alias', refAttrName: 'outer' },
    ];
    const model = decodeModel(file({ node: [{ opType: 'Custom', domain: 'x', attribute }] }), 'm.onnx');
    expect(model.graph.nodes[0]?.attributes).toEqual({
      ends: { type: 'other', kind: 'INTS beyond 2^53' },
      raw: { type: 'other', kind: 'bytes' },
      many: { type: 'other', kind: 'TENSORS' },
      alias: { type: 'other', kind: 'a reference to an attribute' },
    });
    expect(() => encodeModel(model)).toThrow(/^cannot write attribute "alias" of node "" \(Custom\)/);
  });
});

describe('tensor data', () => {
  it('comes from the typed field of the type as from raw_data', () => {
    const floats = readTensor({ dataType: 1, dims: [3], floatData: [1, -0.5, 2] });
    expect(floats).toEqual(floatTensor('', [3], [1, -0.5, 2]));
    const int64 = readTensor({ dataType: 7, dims: [2], int64Data: [-1, 2 ** 40] });
    expect(int64).toEqual(int64Tensor('', [2], [-1n, 2n ** 40n]));
    const int32 = readTensor({ dataType: 6, dims: [1], int32Data: [-2] });
    expect(int32?.bytes).toEqual(Uint8Array.of(0xfe, 0xff, 0xff, 0xff));
    const bool = readTensor({ dataType: 9, dims: [2], int32Data: [1, 0] });
    expect(bool).toEqual({ name: '', dtype: 'bool', shape: [2], bytes: Uint8Array.of(1, 0) });
    const int8 = readTensor({ dataType: 3, dims: [1], int32Data: [-128] });
    expect(int8).toEqual({ name: '', dtype: 'other', elementType: 3, shape: [1], bytes: Uint8Array.of(0x80) });
    const float16 = readTensor({ dataType: 10, dims: [1], int32Data: [0x3c00] });
    expect(float16?.bytes).toEqual(Uint8Array.of(0x00, 0x3c));
    const float64 = readTensor({ dataType: 11, dims: [], doubleData: [1] });
    expect(float64?.bytes).toEqual(new Uint8Array(Float64Array.of(1).buffer));
    const uint32 = readTensor({ dataType: 12, dims: [1], uint64Data: [2 ** 32 - 1] });
    expect(uint32?.bytes).toEqual(Uint8Array.of(255, 255, 255, 255));
    const int4 = readTensor({ dataType: 22, dims: [3], int32Data: [0xf1, 0x02] });
    expect(int4?.bytes).toEqual(Uint8Array.of(0xf1, 0x02));
  });

  it('may be absent where a dimension is 0', () => {
    expect(readTensor({ dataType: 1, dims: [0, 3] })).toEqual(floatTensor('', [0, 3], []));
  });

  it.each<[string, onnx.ITensorProto, string]>([
    [
      'raw data that are too short',
      { name: 'w', dataType: 1, dims: [2, 2], rawData: new Uint8Array(15) },
      'tensor "w" [2, 2] FLOAT: raw_data has 15 bytes, dims and type need 16',
    ],
    [
      'raw data that are too long',
      { dataType: 7, dims: [], rawData: new Uint8Array(16) },
      'tensor "" [] INT64: raw_data has 16 bytes, dims and type need 8',
    ],
    [
      'too few floats',
      { dataType: 1, dims: [2], floatData: [1] },
      'tensor "" [2] FLOAT: float_data has 4 bytes, dims and type need 8',
    ],
    [
      'too many integers',
      { dataType: 7, dims: [1], int64Data: [1, 2] },
      'tensor "" [1] INT64: int64_data has 2 elements, dims need 1',
    ],
    ['no data', { dataType: 1, dims: [2] }, 'tensor "" [2] FLOAT has no data, needs 8 bytes'],
    [
      'data twice',
      { dataType: 1, dims: [1], floatData: [1], rawData: new Uint8Array(4) },
      'tensor "" [1] FLOAT has data in raw_data and float_data, must have them in one',
    ],
    [
      'data in the field of another type',
      { dataType: 7, dims: [1], int32Data: [1] },
      'tensor "" [1] INT64 has data in int32_data, must have them in raw_data or int64_data',
    ],
    [
      'elements that the type cannot hold',
      { dataType: 2, dims: [1], int32Data: [256] },
      'tensor "" [1] UINT8: int32_data holds 256, which the type cannot',
    ],
    ['a negative dimension', { dataType: 1, dims: [-1] }, 'dims [-1]: -1 is negative'],
    [
      'dimensions whose product overflows to 0',
      { dataType: 1, dims: [2 ** 32, 2 ** 32] },
      'dims [4294967296, 4294967296] multiply to more than 2^49 elements',
    ],
    [
      'dimensions that overflow beside a 0',
      { dataType: 1, dims: [0, 2 ** 32, 2 ** 32] },
      'dims [0, 4294967296, 4294967296] multiply to more than 2^49 elements',
    ],
  ])('is refused: %s', (_, tensor, reason) => {
    const error = errorOf(() => readTensor(tensor));
    expect(error.code).toBe('ONNX_INVALID');
    expect(error.message).toBe(`m.onnx: not a valid ONNX model: graph.initializer[0]: ${reason}`);
  });

  it.each<[string, onnx.ITensorProto, RegExp]>([
    ['strings', { dataType: 8, dims: [1], stringData: [new Uint8Array(1)] }, /has elements of type STRING; hpff does/],
    ['unknown types', { dataType: 99, dims: [1] }, /has elements of type 99; hpff does not read these$/],
    ['segments', { dataType: 1, dims: [1], segment: { begin: 0 } }, /is one segment of a tensor; hpff does/],
    [
      'external data without a reader',
      { name: 'w', dataType: 1, dims: [1], dataLocation: 1, externalData: [{ key: 'location', value: 'w.bin' }] },
      /tensor "w" keeps its data in another file, "w.bin"; hpff does not read these$/,
    ],
  ])('is refused as unsupported: %s', (_, tensor, message) => {
    const error = errorOf(() => readTensor(tensor));
    expect(error.code).toBe('ONNX_UNSUPPORTED');
    expect(error.message).toMatch(message);
  });

  it.each<[string, onnx.IStringStringEntryProto[], string]>([
    ['no location', [], 'tensor "w": external data have no location'],
    [
      'a negative offset',
      [
        { key: 'location', value: 'w.bin' },
        { key: 'offset', value: '-4' },
      ],
      'tensor "w": external data have offset "-4", must be bytes',
    ],
    [
      'a length that does not fit the dims',
      [
        { key: 'location', value: 'w.bin' },
        { key: 'length', value: '8' },
      ],
      'tensor "w": external data declare 8 bytes, dims and type need 4',
    ],
  ])('is refused: external data with %s', (_, externalData, reason) => {
    const tensor = { name: 'w', dataType: 1, dims: [1], dataLocation: 1, externalData };
    expect(errorOf(() => readTensor(tensor)).message.endsWith(reason)).toBe(true);
  });

  it('is held to the same rules inside subgraphs, lists and functions', () => {
    const bad = { dataType: 1, dims: [1], rawData: new Uint8Array(3) };
    const inGraph = { opType: 'If', attribute: [{ name: 'a', type: 5, g: { initializer: [bad] } }] };
    const inList = { opType: 'If', attribute: [{ name: 'a', type: 10, graphs: [{ initializer: [bad] }] }] };
    const constant = { opType: 'Constant', attribute: [{ name: 'value', type: 4, t: bad }] };
    for (const bytes of [
      file({ node: [inGraph] }),
      file({ node: [inList] }),
      file({}, { functions: [{ node: [constant] }] }),
    ]) {
      expect(errorOf(() => decodeModel(bytes, 'm.onnx')).message).toMatch(
        /raw_data has 3 bytes, dims and type need 4$/,
      );
    }
  });
});

describe('malformed files are refused', () => {
  it.each<[string, Uint8Array | readonly number[], string]>([
    ['an empty file', [], 'the file is empty'],
    ['a picture', [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13], 'no field starts at byte 10'],
    ['text', new TextEncoder().encode('{"format": "json"}'), 'the field before byte 1 has wire type 3'],
    ['a message of other fields', [0x08, 0x08], 'it has no graph'],
    ['no ir_version', [0x3a, 0x00], 'it has no ir_version'],
    ['field number 0', [0x00, 0x00], 'no field starts at byte 0'],
    ['a cut-off integer', [0x08, 0x80], 'the integer at byte 1 is cut off'],
    [
      'an integer of 65 bits',
      [0x08, ...Array<number>(9).fill(0xff), 2],
      'the integer at byte 1 is longer than 64 bits',
    ],
    ['a length past the end', [0x3a, 0x05, 0x00], 'field 7 at byte 0 reaches to byte 7, its message ends at 3'],
    [
      'a field past the end of its message',
      [0x08, 0x08, 0x3a, 0x03, 0x12, 0x05, 0x61, 0x12, 0x03, 0x61, 0x62, 0x63],
      'graph: field 2 at byte 4 reaches to byte 11, its message ends at 7',
    ],
    ['two graphs', [0x08, 0x08, 0x3a, 0x00, 0x3a, 0x00], 'graph is given 2 times'],
    ['a graph that is a number', [0x08, 0x08, 0x38, 0x01], 'graph at byte 3 is written as a varint, must be a length'],
    ['a name that is not UTF-8', [0x08, 0x08, 0x3a, 0x03, 0x12, 0x01, 0xff], 'graph: name at byte 6 is not'],
    [
      'metadata keys twice',
      file({}, { metadataProps: [{ key: 'k' }, { key: 'k' }] }),
      'metadata_props[1]: metadata key "k"',
    ],
    ['opsets twice', file({}, { opsetImport: [{ domain: '' }, { domain: 'ai.onnx' }] }), 'domain "" is imported twice'],
    [
      'a node without operator',
      file({ node: [{ opType: 'Relu' }, { name: 'n' }] }),
      'graph.node[1]: the node has no op_type',
    ],
    [
      'attributes twice',
      file({
        node: [
          {
            opType: 'Relu',
            attribute: [
              { name: 'a', type: 2 },
              { name: 'a', type: 2 },
            ],
          },
        ],
      }),
      'graph.node[0].attribute[1]: attribute "a" is given twice',
    ],
    [
      'an attribute without type',
      file({ node: [{ opType: 'R', attribute: [{ name: 'a', i: 1 }] }] }),
      'attribute "a" has type 0, must be 1 to 14',
    ],
    [
      'an attribute whose value is of another type',
      file({ node: [{ opType: 'R', attribute: [{ name: 'a', type: 2, f: 1 }] }] }),
      'attribute "a" of type INT has a value in f, must have it in i',
    ],
    [
      'a dimension with two values',
      file({ input: [{ name: 'x', type: { tensorType: { elemType: 1, shape: { dim: [dim(3, 'N')] } } } }] }),
      'a dimension is both 3 and "N"',
    ],
  ])('%s', (_, bytes, reason) => {
    const error = errorOf(() => decodeModel(Uint8Array.from(bytes), 'm.onnx'));
    expect(error.code).toBe('ONNX_INVALID');
    expect(error.message).toContain(`m.onnx: not a valid ONNX model: `);
    expect(error.message).toContain(reason);
  });

  it('graphs nested without end', () => {
    let graph: onnx.IGraphProto = {};
    for (let depth = 0; depth < 200; depth++) {
      graph = { node: [{ opType: 'If', attribute: [{ name: 'then', type: 5, g: graph }] }] };
    }
    expect(errorOf(() => decodeModel(file(graph), 'm.onnx')).message).toMatch(
      /more than 100 messages inside one another$/,
    );
  });

  it('more fields than any model has, before they fill the memory', () => {
    const emptyStrings = new Uint8Array(2 ** 23 + 2).map((_, index) => (index % 2 === 0 ? 0x12 : 0));
    expect(errorOf(() => decodeModel(emptyStrings, 'm.onnx')).message).toMatch(
      /more than 4194304 fields and list elements/,
    );
  });

  it('data that a flipped bit has made dims', () => {
    const length = 2 ** 24;
    const bytes = file({ initializer: [{ dataType: 1, rawData: new Uint8Array(length), dims: [length / 4] }] });
    const tag = bytes.indexOf(0x4a);
    expect(bytes[tag + 4]).toBe(0x08);
    bytes[tag] = 0x0a;
    expect(errorOf(() => decodeModel(bytes, 'm.onnx')).message).toMatch(/more than 4194304 fields and list elements/);
  });
});

function dim(dimValue: number, dimParam: string): onnx.TensorShapeProto.IDimension {
  return { dimValue, dimParam };
}

describe('damaged files', () => {
  const whole = encodeModel({
    ...exampleModel(),
    graph: {
      ...exampleModel().graph,
      nodes: [
        ...exampleModel().graph.nodes,
        node('if', 'If', ['c'], ['z'], { then_branch: { type: 'graph', value: exampleModel().graph } }),
      ],
    },
  });

  /** Decodes; anything but a model or a proper refusal fails the test. */
  function decodeOrRefuse(bytes: Uint8Array): void {
    try {
      decodeModel(bytes, 'm.onnx');
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      expect(error.code).toMatch(/^ONNX_(INVALID|UNSUPPORTED)$/);
      expect(error.message).toMatch(/^[^\p{C}\p{Zl}\p{Zp}]{1,1000}$/u);
    }
  }

  it('are refused in one line or read when truncated anywhere', () => {
    for (let length = 0; length < whole.length; length++) decodeOrRefuse(whole.slice(0, length));
  });

  it('are refused in one line or read when any one bit is flipped', () => {
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const damaged = whole.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      decodeOrRefuse(damaged);
    }
  });

  it('are refused in one line or read when several bytes are replaced', () => {
    const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(changes, (list) => {
        const damaged = whole.slice();
        for (const [at, byte] of list) damaged[at] = byte;
        decodeOrRefuse(damaged);
      }),
      { numRuns: 2000 },
    );
  });

  it('are refused in one line when they are any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), decodeOrRefuse), { numRuns: 1000 });
  });
});
