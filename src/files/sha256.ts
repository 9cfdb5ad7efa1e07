/** SHA-256 checksums, as the manifest lists them: 64 lower-case hexadecimal digits. */
import { createHash } from 'node:crypto';
import { withRegularFile } from './read.js';

const PIECE_BYTES = 2 ** 20;

/** SHA-256 of bytes in memory. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * SHA-256 of a file, read piece by piece.
 * @throws InputError as `readFileBytes`
 */
export async function sha256File(path: string): Promise<string> {
  return withRegularFile(path, async (handle) => {
    const hash = createHash('sha256');
    const piece = new Uint8Array(PIECE_BYTES);
    for (;;) {
      const { bytesRead } = await handle.read(piece, 0, piece.length);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(piece.subarray(0, bytesRead));
    }
  });
}
