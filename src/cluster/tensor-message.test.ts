import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HpffError } from '../errors.js';
import { RunError, UsageError } from '../errors.js';
import { elementCount, type HostTensor } from '../files/tensor.js';
import { SpareBuffers } from '../files/spare-buffers.js';
import { fromFloat16, toFloat16 } from './float16.js';
import {
  parsePart,
  partHeaders,
  splitTensor,
  TensorAssembly,
  type Headers,
  type TensorPart,
} from './tensor-message.js';

type HeaderList = readonly (readonly [string, string])[];

const asHeaders = (list: HeaderList): Headers => ({
  values: (name) => list.filter(([other]) => other === name).map(([, value]) => value),
});

const anyTensor: fc.Arbitrary<HostTensor> = fc
  .record({
    dtype: fc.constantFrom('float32', 'int64', 'int32', 'uint8', 'bool'),
    shape: fc.array(fc.nat(5), { maxLength: 4 }),
    seed: fc.nat(255),
  })
  .map(({ dtype, shape, seed }) => {
    const length = elementCount(shape);
    const make = {
      float32: Float32Array,
      int64: BigInt64Array,
      int32: Int32Array,
      uint8: Uint8Array,
      bool: Uint8Array,
    };
    const data = new make[dtype](length);
    const bytes = new Uint8Array(data.buffer);
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul(i + seed, 97) >>> 3;
    return { dtype, shape, data };
  });

const anyName = fc.stringMatching(/^[\x21-\x7e]{1,40}$/);

function assemble(parts: readonly TensorPart[]): HostTensor {
  const assembly = new TensorAssembly(parts[0]!, 'here');
  for (const part of parts) assembly.add(part, 'here');
  expect(assembly.isComplete).toBe(true);
  return assembly.tensor();
}

describe('a tensor in parts', () => {
  it('comes back to the bit, whatever the order of its parts', () => {
    fc.assert(
      fc.property(
        fc.record({ tensor: anyTensor, name: anyName, step: fc.nat(), generation: fc.nat(), size: fc.nat(200) }),
        fc.infiniteStream(fc.nat()),
        ({ tensor, name, step, generation, size }, order) => {
          const sent = splitTensor({ step, name, tensor }, { generation, partBytes: 8 + size });
          const shuffled = sent
            .map((part) => ({ part, at: order.next().value as number }))
            .sort((a, b) => a.at - b.at)
            .map(({ part }) => parsePart(asHeaders(partHeaders(part)), Uint8Array.from(part.payload), 'here'));
          for (const part of shuffled) {
            expect(part).toMatchObject({ step, name, generation, parts: sent.length });
            expect(part.payload.length).toBeLessThanOrEqual(8 + size);
          }
          const came = assemble(shuffled);
          expect(came.dtype).toBe(tensor.dtype);
          expect(came.shape).toEqual(tensor.shape);
          expect(Buffer.compare(bytesOf(came), bytesOf(tensor))).toBe(0);
        },
      ),
    );
  });

  it.each(['raw', 'float16'] as const)('comes in memory that was used before, as %s', (encoding) => {
    const buffers = new SpareBuffers();
    const take = (value: number): HostTensor => {
      const tensor: HostTensor = { dtype: 'float32', shape: [40], data: new Float32Array(40).fill(value) };
      const parts = splitTensor({ step: 0, name: 'x', tensor }, { generation: 0, partBytes: 64, encoding });
      const assembly = new TensorAssembly(parts[0]!, 'here', buffers);
      for (const part of parts) assembly.add(part, 'here');
      return assembly.tensor();
    };
    const first = take(1);
    const second = take(2);
    expect(first.data).toEqual(new Float32Array(40).fill(1));
    buffers.give(first.data.buffer as ArrayBuffer);
    const third = take(3);
    expect(third.data.buffer).toBe(first.data.buffer);
    expect([second.data, third.data]).toEqual([new Float32Array(40).fill(2), new Float32Array(40).fill(3)]);
  });

  it('may be rounded to half precision if it is float32', () => {
    const data = Float32Array.from({ length: 100 }, (_, i) => Math.sin(i) * 10 ** ((i % 9) - 4));
    const tensor: HostTensor = { dtype: 'float32', shape: [100], data };
    const parts = splitTensor({ step: 0, name: 'x', tensor }, { generation: 0, partBytes: 64, encoding: 'float16' });
    expect(parts).toHaveLength(4); // 200 bytes
    expect(assemble(parts).data).toEqual(fromFloat16(toFloat16(data)));
    const integers: HostTensor = { dtype: 'int32', shape: [2], data: Int32Array.of(1, 2 ** 30) };
    const [raw] = splitTensor(
      { step: 0, name: 'y', tensor: integers },
      { generation: 0, partBytes: 64, encoding: 'float16' },
    );
    expect(raw!.encoding).toBe('raw');
    expect(assemble([raw!])).toEqual(integers);
  });

  it('is refused when it is none', () => {
    const tensor: HostTensor = { dtype: 'float32', shape: [2], data: new Float32Array(2) };
    const split = (step: number, name: string, shape = [2]): unknown =>
      splitTensor({ step, name, tensor: { ...tensor, shape } }, { generation: 0, partBytes: 64 });
    expect(() => split(-1, 'x')).toThrow(UsageError);
    expect(() => split(0, 'two words')).toThrow(UsageError);
    expect(() => split(0, '')).toThrow(UsageError);
    expect(() => split(0, 'x', [3])).toThrow('"x": 2 elements do not fill the shape [3]');
  });
});

describe('parsePart', () => {
  const tensor: HostTensor = { dtype: 'float32', shape: [3, 4], data: Float32Array.from({ length: 12 }, (_, i) => i) };
  const [first, second] = splitTensor({ step: 7, name: 'x', tensor }, { generation: 2, partBytes: 32 }) as [
    TensorPart,
    TensorPart,
  ];

  /** The message with some headers changed, its checksum made to fit. */
  function parse(changes: Partial<Record<keyof TensorPart, unknown>>, part = first): TensorPart {
    const changed = { ...part, ...changes } as TensorPart;
    return parsePart(asHeaders(partHeaders(changed)), changed.payload, 'stream s, message 1');
  }

  it.each<[Partial<Record<keyof TensorPart, unknown>>, string]>([
    [{ dtype: 'float64' }, 'Hpff-Dtype is "float64"; allowed: float32, int64, int32, uint8, bool'],
    [{ shape: [-1] }, 'Hpff-Shape is "[-1]"; allowed: [128,16,32,32] or the like'],
    [{ shape: ['1e3'] }, 'Hpff-Shape is "[1e3]"; allowed'],
    [{ shape: [2 ** 30, 2 ** 30] }, 'Hpff-Shape says 4611686018427388000 bytes; allowed: at most 2147483648'],
    [{ step: -1 }, 'Hpff-Step is "-1"; allowed: a whole number'],
    [{ step: '07' }, 'Hpff-Step is "07"'],
    [{ generation: '9999999999999999' }, 'Hpff-Generation is 10000000000000000; allowed: at most'],
    [{ name: 'a b' }, 'Hpff-Name is "a b"; allowed: visible ASCII'],
    [{ encoding: 'gzip' }, 'Hpff-Encoding is "gzip"; allowed: raw, float16'],
    [{ encoding: 'float16', dtype: 'int32' }, 'Hpff-Encoding is float16 for int32'],
    [{ part: 2 }, 'Hpff-Part is 2 of Hpff-Parts 2'],
    [{ parts: 0 }, 'Hpff-Part is 0 of Hpff-Parts 0'],
    [{ parts: 1 }, '32 bytes cannot be part 0 of 1 of 48 bytes'],
    [{ parts: 3 }, '32 bytes cannot be part 0 of 3 of 48 bytes'],
    [{ shape: [100] }, '32 bytes cannot be part 0 of 2 of 400 bytes'],
    [{ payload: new Uint8Array() }, '0 bytes cannot be part 0 of 2'],
  ])('refuses %j', (changes, message) => {
    expect(() => parse(changes)).toThrow(RunError);
    expect(() => parse(changes)).toThrow(`stream s, message 1: ${message}`);
  });

  it('refuses a last part that does not fit', () => {
    expect(parse({}, second).part).toBe(1);
    expect(() => parse({ payload: new Uint8Array(40) }, second)).toThrow('40 bytes cannot be part 1 of 2 of 48 bytes');
    expect(() => parse({ parts: 4, part: 3 }, second)).toThrow('16 bytes cannot be part 3 of 4 of 48 bytes');
  });

  it('refuses headers that are missing or repeated, and damage', () => {
    const headers = partHeaders(first);
    expect(() => parsePart(undefined, first.payload, 'm')).toThrow('m: the header Hpff-Format is missing');
    for (const [i, [name]] of headers.entries()) {
      const without = headers.toSpliced(i, 1);
      expect(() => parsePart(asHeaders(without), first.payload, 'm')).toThrow(`m: the header ${name} is missing`);
      const twice = [...headers, headers[i]!];
      expect(() => parsePart(asHeaders(twice), first.payload, 'm')).toThrow(`m: the header ${name} is there twice`);
    }
    const flipped = Uint8Array.from(first.payload, (byte, i) => (i === 5 ? byte ^ 1 : byte));
    expect(() => parsePart(asHeaders(headers), flipped, 'm')).toThrow(/^m: Hpff-Checksum is [0-9a-f]{8}, .*: damaged$/);
    const otherStep = headers.map(([name, value]) => [name, name === 'Hpff-Step' ? '8' : value] as const);
    expect(() => parsePart(asHeaders(otherStep), first.payload, 'm')).toThrow('damaged');
  });

  it('raises nothing but RunErrors of one line, whatever comes', () => {
    const names = partHeaders(first).map(([name]) => name);
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('[', '[1,2]', '-0', '1e99', 'NaN', '__proto__'),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...names), text), { maxLength: 4 }),
        fc.array(fc.constantFrom(...names), { maxLength: 3 }),
        fc.uint8Array({ maxLength: 40 }),
        (changes, missing, payload) => {
          const changed = new Map([...partHeaders(first), ...changes]);
          for (const name of missing) changed.delete(name);
          try {
            parsePart(asHeaders([...changed]), payload, 'm');
          } catch (error) {
            expect(error).toBeInstanceOf(RunError);
            expect((error as HpffError).message).not.toMatch(/[\n\r]/);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('with a checksum that fits, raises nothing but RunErrors, and what it lets through can be put together', () => {
    const whole = fc.oneof(fc.nat(10), fc.nat(), fc.maxSafeNat());
    const changes = fc.record(
      {
        step: whole,
        part: whole,
        parts: whole,
        shape: fc.array(whole, { maxLength: 3 }),
        dtype: fc.constantFrom('float32', 'bool', 'int64'),
        encoding: fc.constantFrom('raw', 'float16'),
        payload: fc.uint8Array({ maxLength: 64 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(changes, (change) => {
        try {
          const part = parse(change);
          new TensorAssembly(part, 'm').add(part, 'm');
        } catch (error) {
          expect(error).toBeInstanceOf(RunError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('TensorAssembly', () => {
  it('refuses parts that contradict each other', () => {
    const tensor: HostTensor = { dtype: 'float32', shape: [12], data: new Float32Array(12) };
    const split = (partBytes: number, shape = [12]): TensorPart[] =>
      splitTensor({ step: 1, name: 'x', tensor: { ...tensor, shape } }, { generation: 0, partBytes });
    const assembly = new TensorAssembly(split(32)[0]!, 'm');
    expect(() => assembly.add(split(24)[1]!, 'm')).toThrow(
      /^m: parts of "x", step 1, contradict each other: .*32 bytes/,
    );
    expect(() => assembly.add(split(32, [3, 4])[1]!, 'm')).toThrow('contradict');
    expect(assembly.isComplete).toBe(false);
  });
});

function bytesOf({ data }: HostTensor): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
