/** Products of two matrices whose bits do not depend on the number of threads. */
import type { Emitter } from './emitter.js';

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

/**
 * op(A)·op(B), [rows, columns], as a Gemm.
 *
 * ONNX Runtime's matrix product gives threads columns where there are more columns than rows, and cuts long sums into pieces whose length depends on a
 * thread's columns: the sum is rounded otherwise with another number of threads. Threads that get rows do not change it, so a wide
 * product is computed as the transpose of a tall one.
 */
export function gemm(emit: Emitter, a: string, b: string, { rows, columns, depth, transA, transB }: GemmShape): string {
  const flag = (value: boolean): number => (value ? 1 : 0);
  const isTall = typeof rows === 'string' || typeof columns === 'string' || rows >= columns;
  if (isTall || (typeof depth === 'number' && depth <= wholeSum)) {
    return emit.op('Gemm', [a, b], { transA: flag(transA), transB: flag(transB) });
  }
  const transposed = emit.op('Gemm', [b, a], { transA: flag(!transB), transB: flag(!transA) });
  return emit.op('Transpose', [transposed], { perm: [1, 0] });
}
