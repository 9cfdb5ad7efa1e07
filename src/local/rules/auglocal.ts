/** AugLocal (Ma et al. 2024): classifiers made of blocks like those of the trunk that follow, fewer from module to module, at weight 1. */
import { blocksHead, evenlySampled, pyramidDepth } from '../heads/blocks.js';
import type { LocalRuleHeads } from './rule.js';

export const auglocal: LocalRuleHeads = (recipe, targets, _level, { position, later, reduction }) => {
  const { local, network, loss } = recipe;
  const blocks = evenlySampled(later, pyramidDepth(local.auglocal!, position));
  return [{ head: blocksHead(blocks, reduction, network.classes, targets.label, loss?.labelSmoothing), weight: 1 }];
};
