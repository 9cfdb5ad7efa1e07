/** Gradients of matrix products: for C = A·B, dA = dC·Bᵀ and dB = Aᵀ·dC. */
import { matmul } from '../../graph/index.js';
import type { LinearOps } from '../../graph/ops/linear.js';
import { only, type RulesFor } from '../rule.js';
import { unbroadcast } from './elementwise.js';

export const linearRules: RulesFor<LinearOps> = {
  MatMul: ({ inputs: [a, b], attributes: { transA, transB } }, cotangents, [wantA, wantB]) => {
    const dc = only(cotangents);
    // op(A)·op(B) = C; the cotangent of a transposed operand is the transposed product.
    const da = () => (transA ? matmul(b!, dc, { transA: transB, transB: true }) : matmul(dc, b!, { transB: !transB }));
    const db = () => (transB ? matmul(dc, a!, { transA: true, transB: transA }) : matmul(a!, dc, { transA: !transA }));
    return [wantA ? unbroadcast(da(), a!.shape) : undefined, wantB ? unbroadcast(db(), b!.shape) : undefined];
  },
};
