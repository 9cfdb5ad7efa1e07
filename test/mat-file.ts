/** A writer of MAT-files, level 5, for tests. */
import { deflateSync } from 'node:zlib';

export interface MatVariable {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Uint8Array;
  /** Type of the elements as stored; 2 is uint8. */
  readonly type?: number;
  /** Class of the array; 9 is uint8. */
  readonly kind?: number;
  readonly compressed?: boolean;
}

export interface MatOptions {
  readonly littleEndian?: boolean;
  /** First of the header's 116 bytes of text. */
  readonly text?: string;
}

/** The bytes of a file with these variables, in order. */
export function matFile(variables: readonly MatVariable[], { littleEndian = true, text }: MatOptions = {}): Uint8Array {
  const u32 = (...values: number[]): Buffer => {
    const bytes = Buffer.alloc(4 * values.length);
    values.forEach((value, i) =>
      littleEndian ? bytes.writeUInt32LE(value >>> 0, 4 * i) : bytes.writeUInt32BE(value >>> 0, 4 * i),
    );
    return bytes;
  };
  const element = (type: number, data: Uint8Array): Buffer => {
    if (data.length > 0 && data.length <= 4) {
      return Buffer.concat([u32(data.length * 65536 + type), data, Buffer.alloc(4 - data.length)]);
    }
    return Buffer.concat([u32(type, data.length), data, Buffer.alloc((8 - (data.length % 8)) % 8)]);
  };
  const matrix = ({ name, dims, data, type = 2, kind = 9 }: MatVariable): Buffer =>
    element(
      14,
      Buffer.concat([
        element(6, u32(kind, 0)),
        element(5, u32(...dims)),
        element(1, Buffer.from(name)),
        element(type, data),
      ]),
    );
  const header = Buffer.alloc(128, ' ');
  header.write(text ?? 'MATLAB 5.0 MAT-file, made by a test', 'latin1');
  header.fill(0, 116, 124);
  header.set(littleEndian ? [0, 1, 0x49, 0x4d] : [1, 0, 0x4d, 0x49], 124);
  const parts = variables.map((variable) => {
    const plain = matrix(variable);
    if (variable.compressed === false) return plain;
    const packed = deflateSync(plain);
    return Buffer.concat([u32(15, packed.length), packed]);
  });
  return Uint8Array.from(Buffer.concat([header, ...parts]));
}
