/** Checkpoints of ONNX Runtime: what is written comes back, what ONNX Runtime wrote is read, what is damaged is refused. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../errors.js';
import { float32, type HostTensor, type NamedTensors } from '../tensor.js';
import { decodeOrtCheckpoint, encodeOrtCheckpoint, type OrtCheckpoint } from './index.js';

/**
 * Saved by onnxruntime-training-cpu 1.19.2, with optimizer state, after one step of AdamW: w [2, 2] and b [2] trained, f [2] frozen, properties epoch = 3,
 * best = 0.5, note = 'tiny'.
 */
const SAVED = Buffer.from(
  'GAAAAE9EVEMAAAAADAAUABAADAAIAAQADAAAACQAAAAMAAAAUAIAAAIAAAABAAAAqAAAAAAACgAQAAwACAAEAAoAAAAMAAAAEAAAABQAAAABAAAAFAAAAAEA' +
    'AABYAAAAAQAAADAAAAD8/f//CAAAABAAAAAEAAAAdGlueQAAAAAEAAAAbm90ZQAAAAAIABQAEAAEAAgAAAADAAAAAAAAAAAAAAAEAAAABQAAAGVwb2NoAAAA' +
    'SP7//wAAAD8EAAAABAAAAGJlc3QAAAAADAAcABgACAAUAAQADAAAABgAAAABAAAAAAAAAAAAAABvEoM6EAAAAAIAAADUAAAAEAAAAAYAAABncm91cDAAAKD+' +
    '//8IAAAAEAAAAAIAAABgAAAADAAAAAEAAAB3AAAAHv7//xAAAAABAAAAHAAAADAAAAAQAAAAABKDOgASgzkAEoM6ABKDOQIAAAACAAAAAAAAAAIAAAAAAAAA' +
    'AAAAAAkAAABtb21lbnR1bTEAAABu/v//EAAAAAEAAAAcAAAAMAAAABAAAADQzMw90MxMPdDMzD3QzEw9AgAAAAIAAAAAAAAAAgAAAAAAAAAAAAAACQAAAG1v' +
    'bWVudHVtMAAAAGD///8IAAAAEAAAAAIAAABQAAAADAAAAAEAAABiAAAA3v7//xAAAAABAAAAFAAAACAAAAAIAAAAABKDOgASgzkBAAAAAgAAAAAAAAAAAAAA' +
    'CQAAAG1vbWVudHVtMQAAAB7///8QAAAAAQAAABQAAAAgAAAACAAAANDMzD3QzEw9AQAAAAIAAAAAAAAAAAAAAAkAAABtb21lbnR1bTAAAAAIAAwACAAEAAgA' +
    'AAAIAAAADAAAAAEAAAAQAAAAAgAAAJAAAAA8AAAAhv///xAAAAABAAAAFAAAACAAAAAIAAAAAAAAQAAAgD8BAAAAAgAAAAAAAAAAAAAAAQAAAGYAAAC+////' +
    'EAAAAAEAAAAcAAAALAAAABAAAAB3vn8/PN//P57vP0Ce739AAgAAAAIAAAAAAAAAAgAAAAAAAAABAAAAdwAOABQAEAAAAAwACAAEAA4AAAAQAAAAAQAAABQA' +
    'AAAcAAAACAAAAO98/z6IQQC/AQAAAAIAAAAAAAAAAQAAAGIAAAA=',
  'base64',
);

const tensors = (...entries: [string, HostTensor][]): NamedTensors => new Map(entries);

const sample: OrtCheckpoint = {
  trainable: tensors(
    ['layer1.0.conv1.weight', float32([2, 1, 1, 2], [1, -2, 3.5, 0])],
    ['größe', float32([3], [1, 2, 3])],
    ['empty', float32([0], [])],
    ['scalar', float32([], [7])],
  ),
  frozen: tensors(
    ['stem.bn.running_mean', float32([2], [0.25, -1])],
    ['counts', { dtype: 'int64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 60n) }],
  ),
  optimizer: {
    step: 12,
    initialLearningRate: 0.125,
    moments: new Map([
      ['größe', tensors(['momentum0', float32([3], [1, 1, 1])], ['momentum1', float32([3], [4, 5, 6])])],
    ]),
  },
  properties: new Map<string, number | bigint | string>([
    ['epoch', 3n],
    ['best', 0.5],
    ['note', 'ÄÖ'],
  ]),
};

describe('a checkpoint', () => {
  it('comes back as it was written', () => {
    expect(decodeOrtCheckpoint(encodeOrtCheckpoint(sample), 'c')).toEqual(sample);
  });

  it('comes back from a Buffer, whose slices share its memory', () => {
    const { trainable } = decodeOrtCheckpoint(Buffer.from(encodeOrtCheckpoint(sample)), 'c');
    expect(trainable.get('größe')!.data.buffer.byteLength).toBe(12);
  });

  it('without optimizer and properties comes back so', () => {
    const bare = { ...sample, optimizer: null, properties: new Map<string, string>() };
    expect(decodeOrtCheckpoint(encodeOrtCheckpoint(bare), 'c')).toEqual(bare);
  });

  it('has the same bytes for the same content', () => {
    expect(encodeOrtCheckpoint(sample)).toEqual(encodeOrtCheckpoint(sample));
  });

  it('of ONNX Runtime is read', () => {
    const { trainable, frozen, optimizer, properties } = decodeOrtCheckpoint(SAVED, 'saved');
    expect([...trainable.keys()]).toEqual(['b', 'w']);
    expect(trainable.get('w')).toEqual(float32([2, 2], [0.999, 1.9990001, 2.999, 3.999]));
    expect(frozen).toEqual(tensors(['f', float32([2], [2, 1])]));
    expect(optimizer).toMatchObject({ step: 1, initialLearningRate: Math.fround(0.001) });
    expect([...optimizer!.moments.get('w')!.keys()]).toEqual(['momentum0', 'momentum1']);
    expect([...properties]).toEqual([['epoch', 3n], ['best', 0.5], ['note', 'tiny']]); // prettier-ignore
  });
});

describe('a file that is none', () => {
  it.each([
    ['empty', new Uint8Array(0), 'ORT_CHECKPOINT_IDENTIFIER'],
    ['too short', SAVED.subarray(0, 7), 'ORT_CHECKPOINT_IDENTIFIER'],
    ['something else', Buffer.from('{"tensors": {}}'), 'ORT_CHECKPOINT_IDENTIFIER'],
    ['cut in the middle', SAVED.subarray(0, 400), 'ORT_CHECKPOINT_INVALID'],
  ])('%s: is refused', (_, bytes, code) => {
    expect(() => decodeOrtCheckpoint(bytes, 'c')).toThrow(expect.objectContaining({ code }) as Error);
  });

  it('of another version is refused, saying which', () => {
    const bytes = encodeOrtCheckpoint(sample);
    const view = new DataView(bytes.buffer);
    const table = view.getUint32(0, true);
    const fields = table - view.getInt32(table, true);
    view.setInt32(table + view.getUint16(fields + 4, true), 1, true);
    expect(() => decodeOrtCheckpoint(bytes, 'c')).toThrow(/^c: found checkpoint version 1, allowed: 2/);
  });

  it('damaged anywhere is read or refused in one line, never a crash', () => {
    const damage = fc.array(fc.tuple(fc.nat(SAVED.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(damage, fc.integer({ min: 8, max: SAVED.length }), (flips, length) => {
        const bytes = new Uint8Array(SAVED);
        for (const [at, value] of flips) bytes[at] = value;
        try {
          decodeOrtCheckpoint(bytes.subarray(0, length), 'c');
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          expect((error as Error).message).not.toContain('\n');
        }
      }),
      { numRuns: 500 },
    );
  });
});
