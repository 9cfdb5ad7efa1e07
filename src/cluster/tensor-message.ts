/**
 * Tensors as NATS messages: parts of limited size, each with headers that say what it is part of. Element bytes travel
 * little-endian and row-major, as they lie in memory here.
 *
 *   Hpff-Format      1
 *   Hpff-Generation  whole number; counts the restarts of a run
 *   Hpff-Step        whole number
 *   Hpff-Name        the value's name: visible ASCII, at most 200 characters
 *   Hpff-Dtype       float32 | int64 | int32 | uint8 | bool
 *   Hpff-Shape       [128,16,32,32]; [] for a scalar
 *   Hpff-Encoding    raw | float16 (float32 only; lossy)
 *   Hpff-Part        this part's index, from 0
 *   Hpff-Parts       how many parts the value has; all but the last are of one size
 *   Hpff-Checksum    CRC-32 of the payload and, after it, the headers above, 8 hexadecimal digits
 */
import { crc32 } from 'node:zlib';
import { RunError, UsageError } from '../errors.js';
import { quoted } from '../files/printable.js';
import { SpareBuffers } from '../files/spare-buffers.js';
import { elementCount, type DType, type HostTensor } from '../files/tensor.js';
import { fromFloat16, toFloat16 } from './float16.js';

/** `float16`: float32 tensors are rounded (see `toFloat16`); others travel as they are. */
export type Encoding = 'raw' | 'float16';

/** A tensor of one step of training, by name. */
export interface TensorValue {
  readonly step: number;
  readonly name: string;
  readonly tensor: HostTensor;
}

/** What the headers of a part say. */
export interface PartHeader {
  readonly generation: number;
  readonly step: number;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly encoding: Encoding;
  readonly part: number;
  readonly parts: number;
}

export interface TensorPart extends PartHeader {
  readonly payload: Uint8Array;
}

/** The headers of a message, as NATS gives them: all values of a name. */
export interface Headers {
  values(name: string): string[];
}

const FORMAT = '1';
const HEADER_NAMES = ['Format', 'Generation', 'Step', 'Name', 'Dtype', 'Shape', 'Encoding', 'Part', 'Parts'] as const;
const CHECKSUM = 'Hpff-Checksum';
const VALUE_NAME = /^[\x21-\x7e]{1,200}$/;
const WHOLE_NUMBER = /^(?:0|[1-9][0-9]{0,15})$/;
const SHAPE = /^\[(?:(?:0|[1-9][0-9]{0,9})(?:,(?:0|[1-9][0-9]{0,9})){0,15})?\]$/;
/** Larger tensors are no features; a header that claims more is damaged. */
const MAX_BYTES = 2 ** 31;

const elementBytes: Readonly<Record<DType, number>> = { float32: 4, int64: 8, int32: 4, uint8: 1, bool: 1 };

/**
 * The parts of a value. Raw payloads are views of the tensor's memory: leave it alone until they are sent.
 * @param partBytes the most that a payload may hold
 * @throws UsageError `CLUSTER_VALUE_INVALID`
 */
export function splitTensor(
  { step, name, tensor }: TensorValue,
  options: { readonly generation: number; readonly partBytes: number; readonly encoding?: Encoding },
): TensorPart[] {
  const { dtype, shape } = tensor;
  checkValue(step, name, tensor);
  const encoding = options.encoding === 'float16' && dtype === 'float32' ? 'float16' : 'raw';
  const bytes = bytesOf(encoding === 'float16' ? toFloat16(tensor.data as Float32Array) : tensor.data);
  const size = options.partBytes - (options.partBytes % 8);
  const parts = Math.max(1, Math.ceil(bytes.length / size));
  return Array.from({ length: parts }, (_, part) => ({
    ...{ generation: options.generation, step, name, dtype, shape, encoding, part, parts },
    payload: bytes.subarray(part * size, (part + 1) * size),
  }));
}

function checkValue(step: number, name: string, { dtype, shape, data }: HostTensor): void {
  const wrong = (what: string): UsageError => new UsageError('CLUSTER_VALUE_INVALID', `${quoted(name)}: ${what}`);
  if (!Number.isSafeInteger(step) || step < 0) throw wrong(`step ${step} is not a whole number`);
  if (!VALUE_NAME.test(name)) throw wrong('a name is visible ASCII without spaces, at most 200 characters');
  if (data.length !== elementCount(shape)) {
    throw wrong(`${data.length} elements do not fill the shape [${shape.join(',')}]`);
  }
  if (data.byteLength > MAX_BYTES) throw wrong(`${dtype} [${shape.join(',')}] is larger than ${MAX_BYTES} bytes`);
}

/** The headers of a part, in order. */
export function partHeaders(part: TensorPart): [name: string, value: string][] {
  const values = headerValues(part);
  const named = HEADER_NAMES.map((name, i): [string, string] => [`Hpff-${name}`, values[i]!]);
  return [...named, [CHECKSUM, checksum(values, part.payload)]];
}

function headerValues(header: PartHeader): string[] {
  const { generation, step, name, dtype, shape, encoding, part, parts } = header;
  return [FORMAT, `${generation}`, `${step}`, name, dtype, `[${shape.join(',')}]`, encoding, `${part}`, `${parts}`];
}

function checksum(values: readonly string[], payload: Uint8Array): string {
  // In this order: an empty payload would make zlib forget what it goes on from.
  const crc = crc32(values.join('\n'), crc32(payload));
  return crc.toString(16).padStart(8, '0');
}

/**
 * Reads and checks one message.
 * @param headers undefined for a message without any
 * @param where for errors: the stream and the message's place in it
 * @throws RunError `CLUSTER_MESSAGE_INVALID`
 */
export function parsePart(headers: Headers | undefined, payload: Uint8Array, where: string): TensorPart {
  const reader = new HeaderReader(headers, where);
  const values = HEADER_NAMES.map((name) => reader.text(`Hpff-${name}`));
  reader.oneOf('Hpff-Format', [FORMAT]);
  const header: PartHeader = {
    generation: reader.number('Hpff-Generation'),
    step: reader.number('Hpff-Step'),
    name: reader.matching('Hpff-Name', VALUE_NAME, 'visible ASCII without spaces, at most 200 characters'),
    dtype: reader.oneOf('Hpff-Dtype', Object.keys(elementBytes) as DType[]),
    shape: reader.shape('Hpff-Shape'),
    encoding: reader.oneOf('Hpff-Encoding', ['raw', 'float16']),
    part: reader.number('Hpff-Part'),
    parts: reader.number('Hpff-Parts'),
  };
  const stated = reader.matching(CHECKSUM, /^[0-9a-f]{8}$/, '8 hexadecimal digits');
  const computed = checksum(values, payload);
  if (stated !== computed) throw reader.wrong(`Hpff-Checksum is ${stated}, but what came has ${computed}: damaged`);
  checkPart(header, payload.length, reader);
  return { ...header, payload };
}

/** Whether the headers agree with each other and with the payload's size. */
function checkPart(header: PartHeader, length: number, reader: HeaderReader): void {
  const { dtype, encoding, part, parts } = header;
  if (encoding === 'float16' && dtype !== 'float32') throw reader.wrong(`Hpff-Encoding is float16 for ${dtype}`);
  if (part >= parts) throw reader.wrong(`Hpff-Part is ${part} of Hpff-Parts ${parts}`);
  const total = wireBytes(header);
  if (total > MAX_BYTES) throw reader.wrong(`Hpff-Shape says ${total} bytes; allowed: at most ${MAX_BYTES}`);
  const size = partSize(header, length);
  const isSound = parts === 1 ? length === total : size > 0 && size * (parts - 1) < total && total <= size * parts;
  if (!isSound) throw reader.wrong(`${length} bytes cannot be part ${part} of ${parts} of ${total} bytes`);
}

/** Bytes of the whole value as it travels. */
function wireBytes({ dtype, shape, encoding }: PartHeader): number {
  return elementCount(shape) * (encoding === 'float16' ? 2 : elementBytes[dtype]);
}

/** Bytes of each part but the last, by this part's length; not whole if it cannot be. */
function partSize(header: PartHeader, length: number): number {
  const isLast = header.part === header.parts - 1;
  if (!isLast || header.parts === 1) return length;
  const size = (wireBytes(header) - length) / (header.parts - 1);
  return Number.isInteger(size) && size >= length && length > 0 ? size : 0;
}

class HeaderReader {
  constructor(
    private readonly headers: Headers | undefined,
    private readonly where: string,
  ) {}

  wrong(what: string): RunError {
    return new RunError('CLUSTER_MESSAGE_INVALID', `${this.where}: ${what}`);
  }

  text(name: string): string {
    const values = this.headers?.values(name) ?? [];
    if (values.length === 1) return values[0]!;
    throw this.wrong(values.length === 0 ? `the header ${name} is missing` : `the header ${name} is there twice`);
  }

  matching(name: string, pattern: RegExp, allowed: string): string {
    const text = this.text(name);
    if (pattern.test(text)) return text;
    throw this.wrong(`${name} is ${quoted(text, 100)}; allowed: ${allowed}`);
  }

  number(name: string): number {
    const value = Number(this.matching(name, WHOLE_NUMBER, 'a whole number'));
    if (Number.isSafeInteger(value)) return value;
    throw this.wrong(`${name} is ${value}; allowed: at most ${Number.MAX_SAFE_INTEGER}`);
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T {
    const text = this.text(name);
    const found = allowed.find((one) => one === text);
    if (found !== undefined) return found;
    throw this.wrong(`${name} is ${quoted(text, 100)}; allowed: ${allowed.join(', ')}`);
  }

  shape(name: string): number[] {
    const text = this.matching(name, SHAPE, '[128,16,32,32] or the like');
    return JSON.parse(text) as number[];
  }
}

/** Puts the parts of one value together, in whatever order they come. */
export class TensorAssembly {
  private readonly bytes: Uint8Array<ArrayBuffer>;
  private readonly buffers: SpareBuffers;
  private readonly partSize: number;
  private readonly present = new Set<number>();

  /**
   * @param buffers where its memory comes from
   * @throws RunError `CLUSTER_MESSAGE_INVALID` when there is none
   */
  constructor(
    private readonly header: TensorPart,
    where: string,
    buffers = new SpareBuffers(),
  ) {
    this.buffers = buffers;
    this.partSize = partSize(header, header.payload.length);
    try {
      this.bytes = new Uint8Array(buffers.take(wireBytes(header)));
    } catch (error) {
      const reason = `no memory for ${wireBytes(header)} bytes`;
      throw new RunError('CLUSTER_MESSAGE_INVALID', `${where}: ${reason}`, { cause: error });
    }
  }

  /** Bytes of the whole value. */
  get byteLength(): number {
    return this.bytes.length;
  }

  has(part: number): boolean {
    return this.present.has(part);
  }

  /** @throws RunError `CLUSTER_MESSAGE_INVALID` for a part that contradicts the first one */
  add(part: TensorPart, where: string): void {
    this.checkAgrees(part, where);
    this.bytes.set(part.payload, part.part * this.partSize);
    this.present.add(part.part);
  }

  get isComplete(): boolean {
    return this.present.size === this.header.parts;
  }

  /** The value, in memory of the buffers given; to be called once, when it is complete. */
  tensor(): HostTensor {
    const { dtype, shape, encoding } = this.header;
    const { buffer } = this.bytes;
    if (encoding === 'float16') {
      const data = fromFloat16(new Uint16Array(buffer), this.buffers.take(2 * buffer.byteLength));
      this.buffers.give(buffer);
      return { dtype: 'float32', shape, data };
    }
    switch (dtype) {
      case 'float32':
        return { dtype, shape, data: new Float32Array(buffer) };
      case 'int64':
        return { dtype, shape, data: new BigInt64Array(buffer) };
      case 'int32':
        return { dtype, shape, data: new Int32Array(buffer) };
      case 'uint8':
      case 'bool':
        return { dtype, shape, data: this.bytes };
    }
  }

  private checkAgrees(part: TensorPart, where: string): void {
    const first = headerValues({ ...this.header, part: 0 }).join(' ');
    const other = headerValues({ ...part, part: 0 }).join(' ');
    const sizes = partSize(part, part.payload.length);
    if (first === other && sizes === this.partSize) return;
    const { step, name } = this.header;
    throw new RunError(
      'CLUSTER_MESSAGE_INVALID',
      `${where}: parts of ${quoted(name)}, step ${step}, contradict each other: ${first}, ${this.partSize} bytes a part; ` +
        `${other}, ${sizes} bytes a part`,
    );
  }
}

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
