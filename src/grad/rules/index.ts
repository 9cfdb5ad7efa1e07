/** The table of all gradient rules. */
import type { OpName } from '../../graph/index.js';
import type { GradientRule } from '../rule.js';
import { convRules } from './conv.js';
import { elementwiseRules } from './elementwise.js';
import { layoutRules } from './layout.js';
import { linearRules } from './linear.js';
import { lossRules } from './loss.js';
import { normRules } from './norm.js';
import { poolRules } from './pool.js';
import { reduceRules } from './reduce.js';

export const gradientRules: { readonly [O in OpName]: GradientRule<O> | null } = {
  ...elementwiseRules,
  ...layoutRules,
  ...reduceRules,
  ...linearRules,
  ...convRules,
  ...normRules,
  ...poolRules,
  ...lossRules,
};
