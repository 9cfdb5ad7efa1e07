/** Reading flatbuffers that may be damaged: every offset is held against the end of the file before it is followed. */
import { ByteBuffer } from 'flatbuffers';

/** What is wrong with a file, and where. */
export class FlatbufferError extends Error {
  override readonly name = 'FlatbufferError';
}

/** The bytes of a flatbuffer, read within their bounds. */
export class FlatBytes {
  private readonly buffer: ByteBuffer;

  constructor(readonly bytes: Uint8Array) {
    this.buffer = new ByteBuffer(bytes);
  }

  /** @throws FlatbufferError unless `size` bytes lie at `at` */
  require(at: number, size: number): number {
    if (!Number.isSafeInteger(at) || at < 0 || at + size > this.bytes.length) {
      throw new FlatbufferError(`offset ${at} with ${size} bytes leads past its end at ${this.bytes.length}`);
    }
    return at;
  }

  int32 = (at: number): number => this.buffer.readInt32(this.require(at, 4));
  uint32 = (at: number): number => this.buffer.readUint32(this.require(at, 4));
  uint16 = (at: number): number => this.buffer.readUint16(this.require(at, 2));
  uint8 = (at: number): number => this.buffer.readUint8(this.require(at, 1));
  float32 = (at: number): number => this.buffer.readFloat32(this.require(at, 4));
  int64 = (at: number): bigint => this.buffer.readInt64(this.require(at, 8));

  /** Where the offset at `at` leads; offsets count from where they stand. */
  follow(at: number): number {
    return at + this.uint32(at);
  }

  root(): FlatTable {
    return new FlatTable(this, this.follow(0));
  }

  text(at: number): string {
    const length = this.uint32(at);
    const bytes = this.bytes.subarray(this.require(at + 4, length), at + 4 + length);
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      throw new FlatbufferError(`the text at ${at} is no UTF-8`);
    }
  }
}

/** A table; fields are told by their places in the schema. */
export class FlatTable {
  private readonly virtual: number;
  private readonly fields: number;

  constructor(
    private readonly bytes: FlatBytes,
    private readonly at: number,
  ) {
    this.virtual = at - bytes.int32(at);
    this.fields = bytes.uint16(this.virtual);
    bytes.require(this.virtual, this.fields);
  }

  /** Where a field stands; null where the table lacks it. */
  private field(place: number): number | null {
    const entry = 4 + 2 * place;
    const offset = entry + 2 <= this.fields ? this.bytes.uint16(this.virtual + entry) : 0;
    return offset === 0 ? null : this.at + offset;
  }

  int32 = (place: number, missing = 0): number => this.scalar(place, this.bytes.int32, missing);
  uint8 = (place: number, missing = 0): number => this.scalar(place, this.bytes.uint8, missing);
  float32 = (place: number, missing = 0): number => this.scalar(place, this.bytes.float32, missing);
  int64 = (place: number, missing = 0n): bigint => this.scalar(place, this.bytes.int64, missing);

  private scalar<T>(place: number, read: (at: number) => T, missing: T): T {
    const at = this.field(place);
    return at === null ? missing : read(at);
  }

  /** null where it is absent. */
  table(place: number): FlatTable | null {
    const at = this.field(place);
    return at === null ? null : new FlatTable(this.bytes, this.bytes.follow(at));
  }

  text(place: number): string | null {
    const at = this.field(place);
    return at === null ? null : this.bytes.text(this.bytes.follow(at));
  }

  tables(place: number): FlatTable[] | null {
    return this.elements(place, 4)?.map((at) => new FlatTable(this.bytes, this.bytes.follow(at))) ?? null;
  }

  int64s(place: number): bigint[] | null {
    return this.elements(place, 8)?.map(this.bytes.int64) ?? null;
  }

  /** A view of the file's bytes. */
  raw(place: number): Uint8Array | null {
    const found = this.span(place, 1);
    return found && this.bytes.bytes.subarray(found.start, found.start + found.count);
  }

  private elements(place: number, size: number): number[] | null {
    const found = this.span(place, size);
    return found && Array.from({ length: found.count }, (_, i) => found.start + i * size);
  }

  private span(place: number, size: number): { start: number; count: number } | null {
    const at = this.field(place);
    if (at === null) return null;
    const vector = this.bytes.follow(at);
    const count = this.bytes.uint32(vector);
    return { start: this.bytes.require(vector + 4, count * size), count };
  }
}
