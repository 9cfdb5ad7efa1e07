/** Sums and means, in standard ONNX (opset 17: axes are an input of ReduceSum and an attribute of ReduceMean). */
import type { ReduceOps } from '../../graph/ops/reduce.js';
import type { Emitter } from '../emitter.js';
import type { LoweringFor } from '../lower.js';

export const reduceLowering: LoweringFor<ReduceOps> = {
  ReduceSum: (emit, { attributes: { axes, keepDims } }, [x]) => [sum(emit, x!, axes, keepDims)],
  ReduceMean: (emit, { attributes: { axes, keepDims } }, [x]) => [mean(emit, x!, axes, keepDims)],
};

export function sum(emit: Emitter, x: string, axes: readonly number[], keepDims = false): string {
  const keepdims = keepDims ? 1 : 0;
  return runs(axes).reduce((part, run) => emit.op('ReduceSum', [part, emit.ints(run)], { keepdims }), x);
}

export function mean(emit: Emitter, x: string, axes: readonly number[], keepDims = false): string {
  const keepdims = keepDims ? 1 : 0;
  return runs(axes).reduce((part, run) => emit.op('ReduceMean', [part], { axes: run, keepdims }), x);
}

/**
 * Axes in runs of neighbours, the last run first. Reducing the axes before and behind one that is kept at once, ONNX Runtime splits the sums
 * among threads where these are more than the kept axis is long, so that rounding depends on their number; run by run it does
 * not, and is faster.
 */
function runs(axes: readonly number[]): number[][] {
  const found: number[][] = [];
  for (const axis of [...axes].sort((a, b) => b - a)) {
    const [run] = found.slice(-1);
    if (run?.[0] === axis + 1) run.unshift(axis);
    else found.push([axis]);
  }
  return found;
}
