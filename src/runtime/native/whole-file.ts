/** Whether a shared library is there in full. Loading one that was cut off, as by a download, ends the process with SIGBUS: nothing can catch that. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';

const HEADER_BYTES = 64;
const LOADED = 1;

/** Sizes and places in ELF files of 64 bits, little-endian. */
const HEADER = { segments: 32, segmentSize: 54, segmentCount: 56 } as const;
const SEGMENT = { bytes: 56, type: 0, offset: 8, fileBytes: 32 } as const;

/**
 * Bytes that the loadable segments of an ELF file of 64 bits take, with those that it has.
 * @returns null for files of other formats: their loaders look themselves
 */
export function loadedBytes(file: string): { needed: number; found: number } | null {
  const stat = statSync(file);
  // Opening a pipe would wait for its writer.
  if (!stat.isFile()) return null;
  const descriptor = openSync(file, 'r');
  try {
    const at = (offset: number, size: number): Buffer | null => {
      const bytes = Buffer.alloc(size);
      return readSync(descriptor, bytes, 0, size, offset) === size ? bytes : null;
    };
    const header = at(0, HEADER_BYTES);
    if (!header || header.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') return null;
    const start = Number(header.readBigUInt64LE(HEADER.segments));
    const size = header.readUInt16LE(HEADER.segmentSize);
    const count = header.readUInt16LE(HEADER.segmentCount);
    if (size < SEGMENT.bytes || start + size * count > stat.size) return null;
    const segments = at(start, size * count)!;
    let needed = 0;
    for (let i = 0; i < count; i++) {
      const segment = segments.subarray(i * size);
      if (segment.readUInt32LE(SEGMENT.type) !== LOADED) continue;
      const end = segment.readBigUInt64LE(SEGMENT.offset) + segment.readBigUInt64LE(SEGMENT.fileBytes);
      needed = Math.max(needed, Number(end));
    }
    return { needed, found: stat.size };
  } finally {
    closeSync(descriptor);
  }
}
