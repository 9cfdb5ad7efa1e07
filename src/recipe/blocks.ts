/** The cut of a network into modules: how many there may be, and which blocks `split.boundaries` may name. */
import type { Issue } from './issues.js';
import { blockNames, type NetworkShape, stageBlocks } from './network-stages.js';

/** Counts of modules that the published splits of a cifar-resnet are called by, one more than there are blocks. */
const NAMED_COUNTS: Readonly<Record<number, number>> = { 32: 16, 110: 55 };

/** What is wrong with a number of modules. @param balanced by cost: the published splits do not apply */
export function moduleCountIssues(modules: number, network: NetworkShape, balanced: boolean): Issue[] {
  const blocks = blockNames(network).length;
  const named = network.type === 'cifar-resnet' && !balanced ? NAMED_COUNTS[network.depth] : undefined;
  if (modules <= blocks || modules === named) return [];
  const orNamed = named === undefined ? '' : `, or ${named} for the published split of that name`;
  return [{ path: ['split', 'modules'], allowed: `an integer from 1 to ${blocks} (its blocks)${orNamed}` }];
}

/** What is wrong with the last blocks of the modules: unknown, out of order, or not ending at the last block. */
export function boundaryIssues(boundaries: readonly string[], network: NetworkShape): Issue[] {
  const names = blockNames(network);
  const last = names.length - 1;
  const nameOf = (block: number) => `"${names[block]}"`;
  const issues: Issue[] = [];
  let previous = -1;
  for (const [i, name] of boundaries.entries()) {
    const path = ['split', 'boundaries', i];
    const block = names.indexOf(name);
    if (block < 0) {
      const nearest = nearestBlock(name, stageBlocks(network));
      issues.push({
        path,
        allowed: `a block from ${nameOf(0)} to ${nameOf(last)}, the nearest being ${nameOf(nearest)}`,
      });
      continue;
    }
    if (i === boundaries.length - 1 && block !== last) {
      issues.push({ path, allowed: `${nameOf(last)}, the last block of the network` });
    } else if (block <= previous) {
      const next = previous === last ? 'nothing more' : `a block from ${nameOf(previous + 1)} on`;
      issues.push({ path, allowed: `${next} (modules follow each other, each with a block of its own)` });
    }
    previous = Math.max(previous, block);
  }
  return issues;
}

/** Index of the block whose name is nearest to one that no block has. */
function nearestBlock(name: string, stages: readonly number[]): number {
  const match = /^layer(\d+)\.(\d+)$/.exec(name);
  const stage = match ? Number(match[1]) - 1 : 0;
  if (stage < 0) return 0;
  const before = stages.slice(0, stage).reduce((sum, blocks) => sum + blocks, 0);
  if (stage >= stages.length) return before - 1;
  return before + Math.min(match ? Number(match[2]) : 0, stages[stage]! - 1);
}
