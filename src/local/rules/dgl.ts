/** Decoupled greedy learning (Belilovsky et al. 2020): a classifier head at weight 1 on every level. */
import { classifierOn, type LocalRuleHeads } from './rule.js';

export const dgl: LocalRuleHeads = (recipe, targets, _level, place) => [
  { head: classifierOn(recipe, targets, place), weight: 1 },
];
