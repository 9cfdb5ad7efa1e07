/** Matrix products: Gemm where both operands are matrices, else MatMul with explicit transposes. */
import type { LinearOps } from '../../graph/ops/linear.js';
import type { Emitter } from '../emitter.js';
import { gemm } from '../gemm.js';
import type { LoweringFor } from '../lower.js';

export const linearLowering: LoweringFor<LinearOps> = {
  MatMul: (emit, node, [x, y]) => {
    const {
      inputs: [a, b],
      attributes: { transA, transB },
    } = node;
    if (a!.shape.length === 2 && b!.shape.length === 2) {
      const [rows, columns] = node.outputs[0]!.shape;
      const depth = a!.shape[transA ? 0 : 1]!;
      return [gemm(emit, x!, y!, { rows: rows!, columns: columns!, depth, transA, transB })];
    }
    const left = transA ? transposed(emit, x!, a!.shape.length) : x!;
    const right = transB ? transposed(emit, y!, b!.shape.length) : y!;
    return [emit.op('MatMul', [left, right])];
  },
};

function transposed(emit: Emitter, x: string, rank: number): string {
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
  return emit.op('Transpose', [x], { perm });
}
