/** The C library's heap. */
import koffi from 'koffi';

type Trim = (keep: number) => number;

/** Null where the C library has no such function: only glibc has. Undefined: not yet looked for. */
let mallocTrim: Trim | null | undefined;

/**
 * Gives memory that has been freed back to the operating system. The C library would keep it, in pieces between what is still in use, for allocations to
 * come. Does nothing where it cannot.
 */
export function trimHeap(): void {
  mallocTrim ??= findMallocTrim();
  mallocTrim?.(0);
}

function findMallocTrim(): Trim | null {
  if (process.platform !== 'linux') return null;
  try {
    return koffi.load('libc.so.6').func('malloc_trim', 'int', ['size_t']) as Trim;
  } catch {
    return null;
  }
}
