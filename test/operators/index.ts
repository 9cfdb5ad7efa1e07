/** Random uses of every operator. The type makes a new operator without an entry an error. */
import type fc from 'fast-check';
import type { OpAttributes, OpName } from '../../src/graph/index.js';
import type { OperatorCase } from './case.js';
import { convCases } from './conv.js';
import { elementwiseCases } from './elementwise.js';
import { layoutCases } from './layout.js';
import { linearCases } from './linear.js';
import { lossCases } from './loss.js';
import { normCases } from './norm.js';
import { poolCases } from './pool.js';
import { reduceCases } from './reduce.js';

export { build, draw, type BuiltCase, type CaseInput, type OperatorCase } from './case.js';

export const operatorCases: { readonly [O in OpName]: fc.Arbitrary<OperatorCase<OpAttributes[O]>> } = {
  ...elementwiseCases,
  ...layoutCases,
  ...reduceCases,
  ...linearCases,
  ...convCases,
  ...normCases,
  ...poolCases,
  ...lossCases,
};

/** The cases of an operator that is known by name only. */
export const casesOf = (op: OpName): fc.Arbitrary<OperatorCase<unknown>> => operatorCases[op];
