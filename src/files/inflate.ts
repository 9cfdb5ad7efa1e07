/** Decompressing a zlib stream whose output says its own size, so that the memory for it is had once and is bounded. */
import { createInflate, type Inflate } from 'node:zlib';
import { InputError } from '../errors.js';
import { printable } from './printable.js';

const CHUNK_BYTES = 2 ** 18;

/** A zlib stream, and how to speak of it in errors. */
export interface ZlibStream {
  readonly bytes: Uint8Array;
  /** Its name, such as `file: the element at byte 128`. */
  readonly where: string;
}

/**
 * Decompresses a zlib stream (RFC 1950) and checks its checksum; nothing may follow it.
 * @param headBytes how much of the output `sizeOf` needs
 * @param sizeOf the size of the output in bytes, from its beginning; may throw
 * @throws InputError `ZLIB_INVALID` (not zlib, damaged, or trailing bytes), `ZLIB_TRUNCATED`, `ZLIB_SIZE` (more or less
 * output than it says), and whatever `sizeOf` throws
 */
export async function inflateSized(
  { bytes, where }: ZlibStream,
  headBytes: number,
  sizeOf: (head: Uint8Array) => number,
): Promise<Uint8Array> {
  const at = printable(where);
  const inflate = createInflate({ chunkSize: CHUNK_BYTES });
  inflate.end(bytes);
  const output = await collect(inflate, headBytes, sizeOf, at).catch((error: unknown) => {
    throw zlibError(error, inflate.bytesWritten, at);
  });
  if (inflate.bytesWritten < bytes.length) {
    const extra = bytes.length - inflate.bytesWritten;
    throw new InputError('ZLIB_INVALID', `${at}: ${extra} bytes follow the end of its zlib data; allowed: none`);
  }
  return output;
}

async function collect(
  inflate: Inflate,
  headBytes: number,
  sizeOf: (head: Uint8Array) => number,
  at: string,
): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array();
  let output: Uint8Array | null = null;
  let filled = 0;
  for await (const chunk of inflate as AsyncIterable<Buffer>) {
    if (output === null) {
      head = Buffer.concat([head, chunk]);
      if (head.length < headBytes) continue;
      output = new Uint8Array(sizeOf(head));
    }
    const piece = filled === 0 ? head : chunk;
    if (filled + piece.length > output.length) {
      throw new InputError('ZLIB_SIZE', `${at}: decompresses to more than the ${output.length} bytes that it says`);
    }
    output.set(piece, filled);
    filled += piece.length;
  }
  if (output !== null && filled === output.length) return output;
  const said = output === null ? `at least ${headBytes}` : `the ${output.length}`;
  throw new InputError(
    'ZLIB_SIZE',
    `${at}: decompresses to ${output === null ? head.length : filled} bytes, not ${said} that it must have`,
  );
}

function zlibError(error: unknown, consumed: number, at: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || !String(error.code).startsWith('Z_')) return error;
  const cause = { cause: error };
  if (error.code === 'Z_BUF_ERROR') return new InputError('ZLIB_TRUNCATED', `${at}: its zlib data is cut off`, cause);
  const reason = printable(error.message);
  return new InputError('ZLIB_INVALID', `${at}: its zlib data is damaged after byte ${consumed}: ${reason}`, cause);
}
