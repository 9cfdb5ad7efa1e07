/** Random matrix products: matrices and stacks of them, with leading axes that broadcast. */
import fc from 'fast-check';
import type { LinearOps } from '../../src/graph/ops/linear.js';
import { type CasesFor, int, signed } from './case.js';

export const linearCases: CasesFor<LinearOps> = {
  MatMul: fc
    .record({
      m: int(1, 4),
      k: int(1, 4),
      n: int(1, 4),
      transA: fc.boolean(),
      transB: fc.boolean(),
      leading: fc.array(fc.record({ length: int(1, 3), shortA: fc.boolean(), shortB: fc.boolean() }), { maxLength: 2 }),
      missingInA: int(0, 2),
      missingInB: int(0, 2),
    })
    .map(({ m, k, n, transA, transB, leading, missingInA, missingInB }) => {
      const a = leading.map(({ length, shortA }) => (shortA ? 1 : length)).slice(missingInA);
      const b = leading.map(({ length, shortB }) => (shortB ? 1 : length)).slice(missingInB);
      return {
        attributes: { transA, transB },
        inputs: [signed([...a, ...(transA ? [k, m] : [m, k])]), signed([...b, ...(transB ? [n, k] : [k, n])])],
      };
    }),
};
