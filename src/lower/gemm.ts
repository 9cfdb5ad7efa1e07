/** Products of two matrices whose bits do not depend on the number of threads. */
import { type Emitter, f } from './emitter.js';

export interface GemmShape {
  readonly rows: number | string;
  readonly columns: number | string;
  /** Length of the sums. */
  readonly depth: number | string;
  readonly transA: boolean;
  readonly transB: boolean;
}

/** Sums up to this length are never cut. */
const wholeSum = 128;

/** Rows × columns × depth for each thread that ONNX Runtime adds to the first. */
const workPerThread = 65536;

/**
 * op(A)·op(B), [rows, columns], as a Gemm.
 *
 * ONNX Runtime's matrix product gives threads columns where there are more columns than rows, and cuts long sums into pieces whose length depends on a
 * thread's columns: the sum is rounded otherwise with another number of threads. Threads that get rows do not change it, so a wide
 * product is computed as the transpose of a tall one.
 */
export function gemm(emit: Emitter, a: string, b: string, { rows, columns, depth, transA, transB }: GemmShape): string {
  const isTall = typeof rows === 'string' || typeof columns === 'string' || rows >= columns;
  if (isTall) return tallGemm(emit, a, b, { rows, columns, depth, transA, transB });
  if (typeof depth === 'number' && depth <= wholeSum) return emit.op('Gemm', [a, b], flags(transA, transB));
  const swapped = { rows: columns, columns: rows, depth, transA: !transB, transB: !transA };
  return emit.op('Transpose', [tallGemm(emit, b, a, swapped)], { perm: [1, 0] });
}

/**
 * Vectors go to a kernel that sums in another order, or in an order that depends on how many there are; but not where the product is to be scaled.
 * To halve and to double is exact.
 */
function tallGemm(emit: Emitter, a: string, b: string, shape: GemmShape): string {
  if (!leavesVectors(shape)) return emit.op('Gemm', [a, b], flags(shape.transA, shape.transB));
  const half = emit.op('Gemm', [a, b], { ...flags(shape.transA, shape.transB), alpha: f(0.5) });
  return emit.op('Mul', [half, emit.floats([2], [])]);
}

/** Whether threads, as many as there is work for, can divide a single column or be left with a single row. */
function leavesVectors({ rows, columns, depth }: GemmShape): boolean {
  if (typeof rows === 'string' || typeof columns === 'string' || typeof depth === 'string' || rows === 1) return false;
  const threads = Math.floor((rows * columns * depth) / workPerThread) + 1;
  return threads > 1 && (columns === 1 || rows < 2 * threads);
}

const flags = (transA: boolean, transB: boolean) => ({ transA: transA ? 1 : 0, transB: transB ? 1 : 0 });
