/** Local rules by the name that a recipe gives them. `bp` has one module and no heads. */
import type { LocalRule } from '../../recipe/types.js';
import { auglocal } from './auglocal.js';
import { dgl } from './dgl.js';
import { infopro } from './infopro.js';
import { predsim } from './predsim.js';
import type { LocalRuleHeads } from './rule.js';

export type { Level, LocalRuleHeads, ModulePlace, Targets, WeightedHead } from './rule.js';

export const localRules: { readonly [R in LocalRule]: LocalRuleHeads } = {
  bp: () => [],
  dgl,
  infopro,
  predsim,
  auglocal,
};
