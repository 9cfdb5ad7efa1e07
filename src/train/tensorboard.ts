/**
 * TensorBoard event files: TFRecords of `Event` messages in protocol buffers (tensorboard/compat/proto/event.proto and
 * summary.proto), scalars only.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { writeError } from '../files/system-errors.js';
import { maskedCrc32c } from '../files/crc32c.js';

/** Tags and values of one step. */
export type Scalars = Readonly<Record<string, number>>;

/** Writes one event file. A record that was cut off by a kill is skipped by TensorBoard. */
export class EventFile {
  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
  ) {}

  /**
   * Begins a new event file in a run folder.
   * @param step steps done before: what older files of the folder say of later steps is void
   * @throws as `writeFileAtomic`
   */
  static async create(folder: string, step: number): Promise<EventFile> {
    const seconds = Date.now() / 1000;
    const host = hostname().replaceAll(/[^A-Za-z0-9.-]/g, '_');
    // TensorBoard reads the files of a folder in the order of their names.
    const stamp = seconds.toFixed(3).replace('.', '').padStart(14, '0');
    const path = join(folder, `events.out.tfevents.${stamp}.${process.pid}.${host}`);
    const handle = await naming(path, () => open(path, 'wx'));
    const file = new EventFile(path, handle);
    try {
      await file.append(record(versionEvent(seconds)), record(startEvent(seconds, step)));
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** @throws as `writeFileAtomic` */
  async write(step: number, scalars: Scalars): Promise<void> {
    await this.append(record(scalarEvent(Date.now() / 1000, step, scalars)));
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  private async append(...pieces: Uint8Array[]): Promise<void> {
    await naming(this.path, () => this.handle.writeFile(Buffer.concat(pieces)));
  }
}

async function naming<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw writeError(path, error);
  }
}

/** A TFRecord: length, its checksum, data, its checksum; little-endian. */
function record(data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(data.length + 16);
  bytes.writeBigUInt64LE(BigInt(data.length), 0);
  bytes.writeUInt32LE(maskedCrc32c(bytes.subarray(0, 8)), 8);
  bytes.set(data, 12);
  bytes.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return bytes;
}

/** Event { double wall_time = 1; string file_version = 3 } */
function versionEvent(seconds: number): Uint8Array {
  return Buffer.concat([double(1, seconds), bytesField(3, Buffer.from('brain.Event:2'))]);
}

/** Event { wall_time = 1; int64 step = 2; SessionLog session_log = 7 { SessionStatus status = 1: START = 1 } } */
function startEvent(seconds: number, step: number): Uint8Array {
  return Buffer.concat([double(1, seconds), varintField(2, step + 1), bytesField(7, varintField(1, 1))]);
}

/** Event { wall_time = 1; step = 2; Summary summary = 5 { repeated Value value = 1 { string tag = 1; float simple_value = 2 } } } */
function scalarEvent(seconds: number, step: number, scalars: Scalars): Uint8Array {
  const values = Object.entries(scalars).map(([tag, value]) =>
    bytesField(1, Buffer.concat([bytesField(1, Buffer.from(tag)), float(2, value)])),
  );
  return Buffer.concat([double(1, seconds), varintField(2, step), bytesField(5, Buffer.concat(values))]);
}

const key = (field: number, wireType: number): Uint8Array => varint(field * 8 + wireType);

function varintField(field: number, value: number): Uint8Array {
  return Buffer.concat([key(field, 0), varint(value)]);
}

function double(field: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), bytes]);
}

function bytesField(field: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([key(field, 2), varint(bytes.length), bytes]);
}

function float(field: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([key(field, 5), bytes]);
}

/** A whole number from 0, 7 bits a byte, lowest first. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Uint8Array.from([...bytes, value]);
}
