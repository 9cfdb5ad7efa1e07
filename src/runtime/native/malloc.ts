/** The C library's heap. */
import koffi from 'koffi';

type LibcFunction = (...numbers: number[]) => number;

/** Of `mallopt`: blocks of that size or more are mapped, and unmapped when freed. */
const M_MMAP_THRESHOLD = -3;
const LARGE_BYTES = 2 ** 20;

/** Undefined: not yet looked for. */
let glibc: { readonly trim: LibcFunction; readonly option: LibcFunction } | null | undefined;

/**
 * Gives memory that has been freed back to the operating system. The C library would keep it, in pieces between what is still in use, for allocations to
 * come. Does nothing where it cannot.
 */
export function trimHeap(): void {
  functions()?.trim(0);
}

/**
 * From now on blocks of 1 MiB or more go back to the operating system when they are freed. The C library would keep ever larger ones: once one is freed, its
 * size is what the next must exceed, up to 32 MiB. Does nothing where it cannot.
 */
export function returnLargeBlocks(): void {
  functions()?.option(M_MMAP_THRESHOLD, LARGE_BYTES);
}

/** Null where the C library has no such functions: only glibc has. */
function functions(): typeof glibc {
  if (glibc === undefined) glibc = findFunctions();
  return glibc;
}

function findFunctions(): typeof glibc {
  if (process.platform !== 'linux') return null;
  try {
    const library = koffi.load('libc.so.6');
    return {
      trim: library.func('malloc_trim', 'int', ['size_t']) as LibcFunction,
      option: library.func('mallopt', 'int', ['int', 'int']) as LibcFunction,
    };
  } catch {
    return null;
  }
}
