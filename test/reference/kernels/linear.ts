/** Reference kernel of the matrix product. */
import type { LinearOps } from '../../../src/graph/ops/linear.js';
import type { KernelsFor } from '../kernel.js';
import { broadcastAt, tabulate } from '../tensor.js';

export const linearKernels: KernelsFor<LinearOps> = {
  MatMul: ([a, b], { transA, transB }, [shape]) => {
    const inner = a!.shape.at(transA ? -2 : -1)!;
    return [
      tabulate(shape!, (index) => {
        const batch = index.slice(0, -2);
        const [row, column] = index.slice(-2);
        let total = 0;
        for (let k = 0; k < inner; k++) {
          const left = broadcastAt(a!, [...batch, ...(transA ? [k, row!] : [row!, k])]);
          const right = broadcastAt(b!, [...batch, ...(transB ? [column!, k] : [k, column!])]);
          total += left * right;
        }
        return total;
      }),
    ];
  },
};
