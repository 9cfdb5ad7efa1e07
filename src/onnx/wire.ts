/**
 * Strict reading of protocol buffer messages, for files of unknown origin. A message is split into its fields, which are then
 * asked for by number. Every length is checked against the enclosing message before anything is allocated, byte fields are
 * views of the file, and the number of fields in a file is bounded, so that no file can make the reader allocate much more
 * than its own size. (onnx-proto's decoders do not check that a field ends inside its message and turn each byte of a packed
 * list into an object, so one flipped bit in a large file can exhaust the memory.)
 * The format: https://protobuf.dev/programming-guides/encoding/
 */
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';

/** Fields in a file, elements of lists included. Graphs of a hundred thousand nodes have two million. */
const MAX_FIELDS = 2 ** 22;
/** Messages inside messages. ONNX needs 5 for each graph inside a graph. */
const MAX_DEPTH = 100;

const MAX_FIELD_NUMBER = 2 ** 29 - 1;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

const WIRE_TYPES: Readonly<Record<number, string>> = {
  [VARINT]: 'a varint',
  [FIXED64]: '8 bytes',
  [BYTES]: 'a length and bytes',
  [FIXED32]: '4 bytes',
};

/** What all messages of one file share. */
class File {
  /** Plain, also where the caller passed a Buffer. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  private fields = 0;

  constructor(
    bytes: Uint8Array,
    readonly where: string,
  ) {
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Notes that fields or list elements were found; false when there are too many in this file. */
  count(fields: number): boolean {
    this.fields += fields;
    return this.fields <= MAX_FIELDS;
  }
}

/** One occurrence of a field: where its value lies in the file. */
interface Field {
  readonly wireType: number;
  readonly start: number;
  readonly end: number;
}

/** A message inside its parent, under a name for error messages. */
interface Place {
  readonly parent: Message;
  readonly name: string;
}

/** A message, with its fields by number. All methods throw an `InputError` ONNX_INVALID on malformed data. */
export class Message {
  private readonly fields = new Map<number, Field[]>();
  private readonly asked = new Set<number>();

  private constructor(
    private readonly file: File,
    private readonly start: number,
    private readonly end: number,
    private readonly place: Place | null,
    private readonly depth: number,
  ) {
    if (depth > MAX_DEPTH) this.fail(`more than ${MAX_DEPTH} messages inside one another`);
    this.split();
  }

  /**
   * The outermost message of a file.
   * @param where the file's name, for error messages
   */
  static parse(bytes: Uint8Array, where: string): Message {
    return new Message(new File(bytes, where), 0, bytes.length, null, 0);
  }

  /** @throws InputError ONNX_INVALID always: file, place inside it, reason */
  fail(reason: string): never {
    throw new InputError(
      'ONNX_INVALID',
      `${printable(this.file.where)}: not a valid ONNX model: ${this.path()}${reason}`,
    );
  }

  /** @throws InputError ONNX_UNSUPPORTED always, for what ONNX allows and hpff does not read */
  refuse(what: string): never {
    throw new InputError(
      'ONNX_UNSUPPORTED',
      `${printable(this.file.where)}: ${this.path()}${what}; hpff does not read these`,
    );
  }

  /** Whether a field is present. */
  has(number: number): boolean {
    this.asked.add(number);
    return this.fields.has(number);
  }

  /** The numbers of fields that are present and were not asked for. */
  notAsked(): number[] {
    return [...this.fields.keys()].filter((number) => !this.asked.has(number));
  }

  /** A string; '' where it is absent, as protocol buffers have it. */
  string(number: number, name: string): string {
    const field = this.single(number, name);
    return field === undefined ? '' : this.text(field, name);
  }

  strings(number: number, name: string): string[] {
    return this.all(number).map((field) => this.text(field, name));
  }

  /** Bytes, as a view of the file. */
  bytes(number: number, name: string): Uint8Array | undefined {
    const field = this.single(number, name);
    return field === undefined ? undefined : this.span(field, name);
  }

  bytesList(number: number, name: string): Uint8Array[] {
    return this.all(number).map((field) => this.span(field, name));
  }

  message(number: number, name: string): Message | undefined {
    const field = this.single(number, name);
    return field === undefined ? undefined : this.inner(field, name);
  }

  /** Messages of a repeated field; each is split when the walk comes to it. */
  *messages(number: number, name: string): Generator<Message> {
    for (const [index, field] of this.all(number).entries()) yield this.inner(field, `${name}[${index}]`);
  }

  /** An int64, int32 or enum. */
  integer(number: number, name: string): bigint | undefined {
    const field = this.single(number, name);
    if (field === undefined) return undefined;
    this.expect(field, VARINT, name);
    return new Varints(this.file.bytes, field.start).next();
  }

  /** An integer that must lie within ±(2^53 − 1); 0 where it is absent. */
  safeInteger(number: number, name: string): number {
    return this.safe(this.integer(number, name) ?? 0n, name);
  }

  float(number: number, name: string): number | undefined {
    const field = this.single(number, name);
    if (field === undefined) return undefined;
    this.expect(field, FIXED32, name);
    return this.file.view.getFloat32(field.start, true);
  }

  /** A list of integers that must lie within ±(2^53 − 1). */
  safeIntegers(number: number, name: string): number[] {
    return this.int64List(number, name).map((value) => this.safe(value, name));
  }

  /** A list of integers, packed or not. */
  int64List(number: number, name: string): bigint[] {
    const count = this.countIntegers(number, name);
    this.count(count);
    return [...this.int64s(number, name, count)];
  }

  /** How many integers a list has. */
  countIntegers(number: number, name: string): number {
    return this.all(number)
      .map((field) => this.countVarints(field, name))
      .reduce((sum, count) => sum + count, 0);
  }

  /** A list of any length, of `count` integers as `countIntegers` counted them: 64 bits each, signed. */
  int64s(number: number, name: string, count: number): BigInt64Array {
    const values = new BigInt64Array(count);
    let index = 0;
    for (const field of this.all(number)) {
      const varints = new Varints(this.file.bytes, field.start);
      while (varints.position < field.end) values[index++] = varints.next();
    }
    if (index !== count) this.fail(`${name}: ${index} integers, counted ${count}`);
    return values;
  }

  /** A list of float32 or float64, packed or not, as the concatenation of their little-endian bytes. */
  fixed(number: number, name: string, size: 4 | 8): Uint8Array {
    const spans = this.all(number).map((field) => {
      if (field.wireType !== BYTES) this.expect(field, size === 4 ? FIXED32 : FIXED64, name);
      if ((field.end - field.start) % size !== 0) {
        this.fail(`${name}: ${field.end - field.start} bytes are not a whole number of ${size}-byte elements`);
      }
      return this.file.bytes.subarray(field.start, field.end);
    });
    return spans.length === 1 ? (spans[0] as Uint8Array) : concatenate(spans);
  }

  floats(number: number, name: string): number[] {
    const bytes = this.fixed(number, name, 4);
    this.count(bytes.length / 4);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: bytes.length / 4 }, (_, index) => view.getFloat32(index * 4, true));
  }

  /** Finds the fields of this message. */
  private split(): void {
    let position = this.start;
    while (position < this.end) {
      const tag = this.unsigned(position);
      const number = Math.floor(tag.value / 8);
      if (number === 0 || number > MAX_FIELD_NUMBER) this.fail(`no field starts at byte ${position}`);
      const field = this.delimit(tag.value % 8, tag.end);
      if (field.end > this.end) {
        this.fail(`field ${number} at byte ${position} reaches to byte ${field.end}, its message ends at ${this.end}`);
      }
      this.count(1);
      const fields = this.fields.get(number);
      if (fields === undefined) this.fields.set(number, [field]);
      else fields.push(field);
      position = field.end;
    }
  }

  /** Where the value lies that starts at a position. */
  private delimit(wireType: number, position: number): Field {
    switch (wireType) {
      case VARINT:
        return { wireType, start: position, end: this.varintEnd(position, this.end) };
      case FIXED64:
        return { wireType, start: position, end: position + 8 };
      case FIXED32:
        return { wireType, start: position, end: position + 4 };
      case BYTES: {
        const length = this.unsigned(position);
        return { wireType, start: length.end, end: length.end + length.value };
      }
      default:
        return this.fail(`the field before byte ${position} has wire type ${wireType}, which ONNX does not use`);
    }
  }

  /** The unsigned varint at a position. Past 2^53 the value is rounded: no tag or length is that large. */
  private unsigned(position: number): { value: number; end: number } {
    const end = this.varintEnd(position, this.end);
    let value = 0;
    for (let at = end - 1; at >= position; at--) value = value * 128 + ((this.file.bytes[at] as number) & 0x7f);
    return { value, end };
  }

  /** Returns where the varint at a position ends. */
  private varintEnd(position: number, end: number): number {
    const { bytes } = this.file;
    for (let at = position; at < end && at < position + 10; at++) {
      const byte = bytes[at] as number;
      if (byte >= 0x80) continue;
      // The tenth byte holds the 64th bit alone.
      if (at === position + 9 && byte > 1) break;
      return at + 1;
    }
    return this.fail(`the integer at byte ${position} is ${end - position < 10 ? 'cut off' : 'longer than 64 bits'}`);
  }

  /** Counts the integers of one occurrence of a list and checks each. */
  private countVarints(field: Field, name: string): number {
    if (field.wireType !== BYTES) {
      this.expect(field, VARINT, name);
      return 1;
    }
    let count = 0;
    for (let position = field.start; position < field.end; count++) position = this.varintEnd(position, field.end);
    return count;
  }

  private all(number: number): Field[] {
    this.asked.add(number);
    return this.fields.get(number) ?? [];
  }

  private single(number: number, name: string): Field | undefined {
    const fields = this.all(number);
    if (fields.length > 1) this.fail(`${name} is given ${fields.length} times`);
    return fields[0];
  }

  private inner(field: Field, name: string): Message {
    this.expect(field, BYTES, name);
    return new Message(this.file, field.start, field.end, { parent: this, name }, this.depth + 1);
  }

  private span(field: Field, name: string): Uint8Array {
    this.expect(field, BYTES, name);
    return this.file.bytes.subarray(field.start, field.end);
  }

  private text(field: Field, name: string): string {
    const text = utf8(this.span(field, name));
    return text ?? this.fail(`${name} at byte ${field.start} is not UTF-8`);
  }

  private safe(value: bigint, name: string): number {
    const number = Number(value);
    if (!Number.isSafeInteger(number)) this.fail(`${name} is ${value}; hpff reads integers within ±(2^53 − 1)`);
    return number;
  }

  private expect(field: Field, wireType: number, name: string): void {
    if (field.wireType === wireType) return;
    const [found, wanted] = [WIRE_TYPES[field.wireType], WIRE_TYPES[wireType]];
    this.fail(`${name} at byte ${field.start} is written as ${found}, must be ${wanted}`);
  }

  private count(fields: number): void {
    if (!this.file.count(fields)) this.fail(`more than ${MAX_FIELDS} fields and list elements in the file`);
  }

  /** Where in the file this message is, e.g. 'graph.node[3]: '. */
  private path(): string {
    const names: string[] = [];
    for (let place = this.place; place !== null; place = place.parent.place) names.unshift(place.name);
    return names.length === 0 ? '' : `${names.join('.')}: `;
  }
}

/** Decodes text; undefined if it is not UTF-8. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    return undefined;
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads variable-length integers of at most 64 bits, one after another, that are known to be well-formed. */
class Varints {
  constructor(
    private readonly bytes: Uint8Array,
    public position: number,
  ) {}

  /** The next integer, as a signed 64-bit number. */
  next(): bigint {
    const first = this.bytes[this.position++] as number;
    if (first < 0x80) return BigInt(first);
    let value = BigInt(first & 0x7f);
    for (let shift = 7n; ; shift += 7n) {
      const byte = this.bytes[this.position++] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
  }
}

function concatenate(spans: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(spans.reduce((sum, span) => sum + span.length, 0));
  let offset = 0;
  for (const span of spans) {
    joined.set(span, offset);
    offset += span.length;
  }
  return joined;
}
