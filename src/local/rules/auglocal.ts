/** AugLocal (Ma et al. 2024): classifiers made of blocks like those of the trunk that follow, fewer from module to module, at weight 1. */
import { blocksHead, evenlySampled, pyramidDepth } from '../heads/blocks.js';
import type { LocalRuleHeads } from './rule.js';

export const auglocal: LocalRuleHeads = ({ local, network }, targets, _level, { position, later, reduction }) => {
  const blocks = evenlySampled(later, pyramidDepth(local.auglocal!, position));
  return [{ head: blocksHead(blocks, reduction, network.classes, targets.label), weight: 1 }];
};
