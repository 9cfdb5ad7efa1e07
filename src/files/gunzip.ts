/** Decompressing gzip with a bound on the output, so that a small file cannot fill the memory. */
import { createGunzip, type Gunzip } from 'node:zlib';
import { InputError } from '../errors.js';
import { printable } from './printable.js';

const CHUNK_BYTES = 2 ** 18;

/** Whether the bytes start as gzip data does (RFC 1952). */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Decompresses gzip data (one or more members) and checks its checksums; nothing may follow the last member.
 * @param maxBytes largest output that is allowed; decompression stops as soon as it is passed
 * @param where names the source in errors
 * @throws InputError `GZIP_INVALID` (not gzip, damaged, or trailing bytes), `GZIP_TRUNCATED`, `GZIP_TOO_LARGE`
 */
export async function gunzipBounded(bytes: Uint8Array, maxBytes: number, where: string): Promise<Uint8Array> {
  const at = printable(where);
  if (bytes.length >= 2 && !isGzip(bytes)) {
    throw new InputError('GZIP_INVALID', `${at}: is not gzip data: it must start with the bytes 1f 8b`);
  }
  if (bytes.length === 0) throw new InputError('GZIP_TRUNCATED', `${at}: is empty; gzip data is needed`);
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  gunzip.end(bytes);
  const output = await collect(gunzip, bytes.length, maxBytes, at);
  if (gunzip.bytesWritten < bytes.length) {
    const extra = bytes.length - gunzip.bytesWritten;
    throw new InputError(
      'GZIP_INVALID',
      `${at}: the gzip data ends at byte ${gunzip.bytesWritten} and ${extra} bytes follow; allowed: none`,
    );
  }
  return output;
}

async function collect(gunzip: Gunzip, inputBytes: number, maxBytes: number, at: string): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let total = 0;
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      total += chunk.length;
      if (total > maxBytes) {
        throw new InputError(
          'GZIP_TOO_LARGE',
          `${at}: decompresses to more than ${maxBytes} bytes (stopped after ${gunzip.bytesWritten} of ${inputBytes})`,
        );
      }
      chunks.push(chunk);
    }
  } catch (error) {
    throw gzipError(error, gunzip.bytesWritten, inputBytes, at);
  }
  return Buffer.concat(chunks, total);
}

function gzipError(error: unknown, consumed: number, inputBytes: number, at: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || !String(error.code).startsWith('Z_')) return error;
  const cause = { cause: error };
  if (error.code === 'Z_BUF_ERROR') {
    const message = `${at}: the gzip data is cut off: the file ends at byte ${inputBytes}, within a compressed member`;
    return new InputError('GZIP_TRUNCATED', message, cause);
  }
  const reason = printable(error.message);
  return new InputError('GZIP_INVALID', `${at}: the gzip data is damaged after byte ${consumed}: ${reason}`, cause);
}
