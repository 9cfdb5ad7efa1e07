/** Decoupled greedy learning (Belilovsky et al. 2020): a classifier head at weight 1 on every level. */
import { classifierHead } from '../heads/classifier.js';
import type { LocalRuleHeads } from './rule.js';

export const dgl: LocalRuleHeads = ({ local, network }, targets) => [
  { head: classifierHead(local.classifier, network.classes, targets.label), weight: 1 },
];
