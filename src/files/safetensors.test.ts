import fc from 'fast-check';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError, UsageError } from '../errors.js';
import { decodeSafetensors, encodeSafetensors, readSafetensors, writeSafetensors } from './safetensors.js';
import { float32, type HostTensor, type NamedTensors } from './tensor.js';

/** A file with this header, written out by hand. */
function file(header: unknown, data: Uint8Array = new Uint8Array()): Uint8Array {
  const text = typeof header === 'string' ? Buffer.from(header) : Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

function refusal(bytes: Uint8Array): InputError {
  try {
    decodeSafetensors(bytes, 'w.safetensors');
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

const entry = (dtype: string, shape: unknown, offsets: unknown) => ({ dtype, shape, data_offsets: offsets });
const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

describe('decodeSafetensors', () => {
  it('reads a file written by hand, in the order of its data', () => {
    const header = { b: entry('F32', [2], [4, 12]), a: entry('F32', [], [0, 4]), __metadata__: { by: 'hand' } };
    const { tensors, metadata } = decodeSafetensors(file(header, floats(1, 2, 3)), 'w');
    expect([...tensors]).toEqual([
      ['a', float32([], [1])],
      ['b', float32([2], [2, 3])],
    ]);
    expect(metadata).toEqual({ by: 'hand' });
  });

  it('reads every type, at whatever alignment', () => {
    const data = new Uint8Array(1 + 1 + 8 + 4 + 4 + 8 + 2 * 4 + 2 * 2);
    const values = new DataView(data.buffer);
    data[0] = 200;
    data[1] = 1;
    values.setBigInt64(2, -(2n ** 60n), true);
    values.setInt32(10, -5, true);
    values.setFloat32(14, 1.5, true);
    values.setFloat64(18, 0.1, true);
    [0x3c00, 0x0001, 0xfbff, 0x7c00].forEach((bits, i) => values.setUint16(26 + 2 * i, bits, true));
    [0x3f80, 0xc049].forEach((bits, i) => values.setUint16(34 + 2 * i, bits, true));
    const header = {
      u8: entry('U8', [1], [0, 1]),
      bool: entry('BOOL', [1], [1, 2]),
      i64: entry('I64', [1], [2, 10]),
      i32: entry('I32', [1], [10, 14]),
      f32: entry('F32', [1], [14, 18]),
      f64: entry('F64', [1], [18, 26]),
      f16: entry('F16', [2, 2], [26, 34]),
      bf16: entry('BF16', [2], [34, 38]),
    };
    const { tensors } = decodeSafetensors(file(header, data), 'w');
    const read = Object.fromEntries([...tensors].map(([name, { dtype, data }]) => [name, [dtype, ...data]]));
    expect(read).toEqual({
      u8: ['uint8', 200],
      bool: ['bool', 1],
      i64: ['int64', -(2n ** 60n)],
      i32: ['int32', -5],
      f32: ['float32', 1.5],
      f64: ['float32', Math.fround(0.1)],
      f16: ['float32', 1, 2 ** -24, -65504, Infinity],
      bf16: ['float32', 1, -3.140625],
    });
  });

  it.each([
    ['a zip file', [0x50, 0x4b, 3, 4, 0, 0, 8, 8, 0, 0]],
    ['a Python pickle', [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20]],
  ])("refuses PyTorch's own files and says how to convert them: %s", (kind, bytes) => {
    const { code, message } = refusal(Uint8Array.from(bytes));
    expect(code).toBe('SAFETENSORS_PICKLE');
    expect(message).toContain(`w.safetensors: is ${kind}`);
    expect(message).toContain('docs/pytorch.md');
  });

  it('reads a file without tensors, and tensors without elements', () => {
    expect(decodeSafetensors(file({}), 'w')).toEqual({ tensors: new Map(), metadata: {} });
    const empty = decodeSafetensors(file({ e: entry('F32', [0, 3], [0, 0]) }), 'w').tensors.get('e');
    expect(empty).toEqual(float32([0, 3], []));
  });

  it('accepts a header padded with spaces', () => {
    expect(decodeSafetensors(file('{}      '), 'w').tensors.size).toBe(0);
  });

  const one = floats(1);
  const refused: [string, string, Uint8Array, RegExp][] = [
    ['under 8 bytes', 'SAFETENSORS_TRUNCATED', new Uint8Array(7), /has 7 bytes.*at least 8/],
    [
      'a header over the limit',
      'SAFETENSORS_HEADER_TOO_LARGE',
      new Uint8Array(8).fill(255),
      /18446744073709551615 bytes/,
    ],
    ['a header past the end', 'SAFETENSORS_TRUNCATED', file('{}').subarray(0, 9), /reach to byte 10.*ends at 9/],
    ['a header of no bytes', 'SAFETENSORS_HEADER_INVALID', file(''), /does not start with "\{"/],
    ['a list', 'SAFETENSORS_HEADER_INVALID', file('[]'), /does not start with "\{"/],
    ['leading space', 'SAFETENSORS_HEADER_INVALID', file(' {}'), /does not start with "\{"/],
    ['broken JSON', 'SAFETENSORS_HEADER_INVALID', file('{"a":}'), /byte 13: found "}"; expected a value/],
    ['text after the header', 'SAFETENSORS_HEADER_INVALID', file('{} x'), /byte 11: found "x"/],
    [
      'not UTF-8',
      'SAFETENSORS_HEADER_INVALID',
      Buffer.concat([file('{"a"  ').subarray(0, -1), Buffer.from([255])]),
      /UTF-8/,
    ],
    [
      'a tensor twice',
      'SAFETENSORS_DUPLICATE_KEY',
      file(
        '{"ä":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"\\u00e4":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
      ),
      /byte 61: the key "ä" is there twice/,
    ],
    ['a key twice in a tensor', 'SAFETENSORS_DUPLICATE_KEY', file('{"a":{"dtype":"U8","dtype":"F32"}}'), /"dtype"/],
    ['metadata twice', 'SAFETENSORS_DUPLICATE_KEY', file('{"__metadata__":{},"__metadata__":{}}'), /__metadata__/],
    [
      'metadata that is no object',
      'SAFETENSORS_METADATA',
      file({ __metadata__: 'x' }),
      /is a string; allowed: an object/,
    ],
    ['metadata that is null', 'SAFETENSORS_METADATA', file({ __metadata__: null }), /is null/],
    ['metadata that is not strings', 'SAFETENSORS_METADATA', file({ __metadata__: { n: 1 } }), /"n" is a number/],
    ['a tensor that is a list', 'SAFETENSORS_ENTRY_INVALID', file({ a: [] }), /tensor "a": is a list/],
    [
      'a missing key',
      'SAFETENSORS_ENTRY_INVALID',
      file({ a: { shape: [], data_offsets: [0, 0] } }),
      /dtype is missing/,
    ],
    [
      'an unknown key',
      'SAFETENSORS_ENTRY_INVALID',
      file({ a: { ...entry('U8', [0], [0, 0]), x: 1 } }),
      /has a key "x"/,
    ],
    ['a fractional dimension', 'SAFETENSORS_ENTRY_INVALID', file({ a: entry('U8', [1.5], [0, 1]) }), /shape is not/],
    ['a negative dimension', 'SAFETENSORS_ENTRY_INVALID', file({ a: entry('U8', [-1], [0, 1]) }), /shape is not/],
    [
      'an offset past the safe integers',
      'SAFETENSORS_ENTRY_INVALID',
      file({ a: entry('U8', [1], [2 ** 53, 2 ** 53 + 2]) }),
      /data_offsets/,
    ],
    ['three offsets', 'SAFETENSORS_ENTRY_INVALID', file({ a: entry('U8', [1], [0, 1, 2]) }), /data_offsets/],
    ['half a surrogate pair', 'SAFETENSORS_ENTRY_INVALID', file('{"\\ud800":{}}'), /surrogate/],
    ['an unknown dtype', 'SAFETENSORS_DTYPE', file({ a: entry('C64', [1], [0, 8]) }), /"C64"; allowed: F32, I64/],
    [
      'a dtype from the prototype',
      'SAFETENSORS_DTYPE',
      file({ a: entry('constructor', [1], [0, 8]) }),
      /"constructor"/,
    ],
    [
      'a product past the safe integers',
      'SAFETENSORS_SHAPE',
      file({ a: entry('U8', [2 ** 30, 2 ** 30], [0, 0]) }),
      /2\^53/,
    ],
    [
      'a product that would wrap to a small one',
      'SAFETENSORS_SHAPE',
      file({ a: entry('F32', [2 ** 32, 2 ** 32, 0], [0, 0]) }),
      /2\^53/,
    ],
    [
      'too many dimensions',
      'SAFETENSORS_SHAPE',
      file({ a: entry('U8', Array<number>(33).fill(1), [0, 1]) }, one),
      /33 dim/,
    ],
    [
      'shape and span that disagree',
      'SAFETENSORS_SPAN',
      file({ a: entry('F32', [2], [0, 4]) }, one),
      /takes 8 bytes.*\[0, 4\]/,
    ],
    ['a span that runs backwards', 'SAFETENSORS_SPAN', file({ a: entry('F32', [1], [4, 0]) }, one), /\[4, 0\]/],
    [
      'an overlap',
      'SAFETENSORS_OVERLAP',
      file({ a: entry('F32', [1], [0, 4]), b: entry('U8', [1], [3, 4]) }, one),
      /"b" begins at byte \d+/,
    ],
    [
      'a hole',
      'SAFETENSORS_HOLE',
      file({ a: entry('U8', [1], [0, 1]), b: entry('U8', [1], [2, 3]) }, one),
      /"b".*hole/,
    ],
    ['a hole at the start', 'SAFETENSORS_HOLE', file({ a: entry('U8', [3], [1, 4]) }, one), /"a".*hole/],
    ['trailing bytes', 'SAFETENSORS_TRAILING_BYTES', file({ a: entry('U8', [1], [0, 1]) }, one), /3 bytes follow/],
    ['data without tensors', 'SAFETENSORS_TRAILING_BYTES', file({}, one), /data ends at byte 10 and 4 bytes follow/],
    [
      'missing data',
      'SAFETENSORS_TRUNCATED',
      file({ a: entry('F32', [1], [0, 4]) }, one.subarray(1)),
      /"a" reaches to byte/,
    ],
    [
      'a BOOL that is neither',
      'SAFETENSORS_VALUE',
      file({ a: entry('BOOL', [2], [0, 2]) }, Uint8Array.of(1, 2)),
      /is 2; allowed: 0 or 1/,
    ],
  ];
  it.each(refused)('refuses %s', (_, code, bytes, message) => {
    const error = refusal(bytes);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^w\.safetensors: [^\n]*$/);
  });

  it('refuses an absurd number of tensors', () => {
    const entries = Array.from({ length: 100_001 }, (_, i) => `"${i}":0`).join(',');
    expect(refusal(file(`{${entries}}`)).code).toBe('SAFETENSORS_TOO_MANY_TENSORS');
  });

  it('keeps names with line breaks on one line', () => {
    expect(refusal(file({ 'a\nb': 0 })).message).toBe(
      'w.safetensors: tensor "a\\u{a}b": is a number; allowed: an object with dtype, shape, data_offsets',
    );
  });
});

const tensor: fc.Arbitrary<HostTensor> = fc
  .tuple(
    fc.constantFrom('float32', 'int64', 'int32', 'uint8', 'bool'),
    fc.array(fc.nat({ max: 4 }), { maxLength: 3 }),
    fc.infiniteStream(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  )
  .map(([dtype, shape, numbers]): HostTensor => {
    const values = [...numbers.take(shape.reduce((a, b) => a * b, 1))];
    if (dtype === 'float32') return { dtype, shape, data: Float32Array.from(values) };
    if (dtype === 'int64') return { dtype, shape, data: BigInt64Array.from(values, BigInt) };
    if (dtype === 'int32') return { dtype, shape, data: Int32Array.from(values) };
    if (dtype === 'bool') return { dtype, shape, data: Uint8Array.from(values, (value) => value & 1) };
    return { dtype: 'uint8', shape, data: Uint8Array.from(values) };
  });
const name = fc.string({ unit: 'binary' }).filter((text) => text !== '__metadata__');
const named = fc.array(fc.tuple(name, tensor), { maxLength: 5 }).map((list): NamedTensors => new Map(list));

describe('encodeSafetensors', () => {
  it('is undone by decodeSafetensors', () => {
    fc.assert(
      fc.property(named, fc.dictionary(fc.string(), fc.string()), fc.nat({ max: 7 }), (tensors, metadata, shift) => {
        const bytes = encodeSafetensors(tensors, metadata);
        const shifted = new Uint8Array(bytes.length + shift).subarray(shift); // other alignments read the same
        shifted.set(bytes);
        const read = decodeSafetensors(shifted, 'w');
        expect(new Map(read.tensors)).toEqual(tensors);
        expect({ ...read.metadata }).toEqual({ ...metadata });
      }),
    );
  });

  it('aligns the data of every tensor', () => {
    const tensors: NamedTensors = new Map<string, HostTensor>([
      ['u8', { dtype: 'uint8', shape: [1], data: Uint8Array.of(1) }],
      ['i64', { dtype: 'int64', shape: [1], data: BigInt64Array.of(2n) }],
      ['f32', float32([1], [3])],
    ]);
    const bytes = encodeSafetensors(tensors);
    const header = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    expect(header % 8).toBe(0);
    expect([...decodeSafetensors(bytes, 'w').tensors.keys()]).toEqual(['i64', 'f32', 'u8']);
  });

  const wrong: [string, string, HostTensor][] = [
    ['too little data', 'a', { dtype: 'float32', shape: [2], data: new Float32Array(1) }],
    ['data of another type', 'a', { dtype: 'float32', shape: [1], data: new Int32Array(1) } as unknown as HostTensor],
    ['a shape that is none', 'a', { dtype: 'float32', shape: [-1, -1], data: new Float32Array(1) }],
    ['the name of the metadata', '__metadata__', float32([1], [1])],
    ['a name that UTF-8 cannot hold', '\ud800', float32([1], [1])],
  ];
  it.each(wrong)('refuses %s', (_, name, tensor) => {
    expect(() => encodeSafetensors(new Map([[name, tensor]]))).toThrow(UsageError);
  });
});

describe('fuzzing', () => {
  const sound = encodeSafetensors(
    new Map<string, HostTensor>([
      ['stem.conv.weight', float32([2, 3], [1, 2, 3, 4, 5, 6])],
      ['label', { dtype: 'int64', shape: [2], data: BigInt64Array.of(1n, 2n) }],
      ['mask', { dtype: 'bool', shape: [3], data: Uint8Array.of(0, 1, 1) }],
    ]),
    { format: 'test' },
  );
  const survives = (bytes: Uint8Array) => {
    try {
      decodeSafetensors(bytes, 'w');
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
      expect((error as InputError).message).toMatch(/^w: [^\n]+$/);
    }
  };

  it('refuses every truncation', () => {
    for (let length = 0; length < sound.length; length++) expect(refusal(sound.subarray(0, length)).exitCode).toBe(2);
  });

  it('survives flipped bits', () => {
    const flips = fc.array(fc.nat({ max: sound.length * 8 - 1 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(flips, (bits) => {
        const bytes = Uint8Array.from(sound);
        for (const bit of bits) bytes[bit >> 3]! ^= 1 << (bit & 7);
        survives(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  it('survives any JSON as a header', () => {
    const json = fc.oneof(
      fc.dictionary(fc.constantFrom('a', '__metadata__', '__proto__'), fc.jsonValue()),
      fc.dictionary(
        fc.constantFrom('a', 'b'),
        fc.record({
          dtype: fc.constantFrom('F32', 'U8', 'X'),
          shape: fc.array(fc.oneof(fc.maxSafeNat(), fc.double())),
          data_offsets: fc.array(fc.nat(), { maxLength: 3 }),
        }),
      ),
    );
    fc.assert(fc.property(json, fc.uint8Array(), (header, data) => survives(file(header, data))));
    fc.assert(fc.property(fc.string(), (text) => survives(file(`{${text}`))));
    fc.assert(fc.property(fc.uint8Array(), survives));
  });
});

describe('on disk', () => {
  let folder: string;
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'hpff-safetensors-'))));
  afterAll(() => rm(folder, { recursive: true }));

  it('writes what it reads, and nothing beside', async () => {
    const path = join(folder, 'w.safetensors');
    const tensors: NamedTensors = new Map([['fc.bias', float32([3], [1, 2, 3])]]);
    await writeSafetensors(path, tensors, { step: '1' });
    expect(await readSafetensors(path)).toEqual({ tensors, metadata: { step: '1' } });
    expect(new Uint8Array(await readFile(path))).toEqual(new Uint8Array(encodeSafetensors(tensors, { step: '1' })));
    expect(await readdir(folder)).toEqual(['w.safetensors']);
  });

  it('names the file in errors', async () => {
    const path = join(folder, 'broken.safetensors');
    await writeFile(path, 'short');
    await expect(readSafetensors(path)).rejects.toThrow(`${path}: has 5 bytes`);
    await expect(readSafetensors(join(folder, 'none'))).rejects.toMatchObject({ code: 'FILE_MISSING', exitCode: 2 });
  });
});
