/** The blocks of a cifar-resnet by name, as `split.boundaries` gives them: stages `layer1` … `layer3` of n blocks each. */
import type { Issue } from './issues.js';

const STAGES = 3;

/** Counts of modules that the published splits are called by, one more than there are blocks. */
const NAMED_COUNTS: Readonly<Record<number, number>> = { 32: 16, 110: 55 };

/** Blocks in each stage of a network of depth 6n+2. */
function blocksPerStage(depth: number): number {
  return (depth - 2) / 6;
}

/** What is wrong with a number of modules. */
export function moduleCountIssues(modules: number, depth: number): Issue[] {
  const blocks = STAGES * blocksPerStage(depth);
  const named = NAMED_COUNTS[depth];
  if (modules <= blocks || modules === named) return [];
  const orNamed = named === undefined ? '' : `, or ${named} for the published split of that name`;
  return [{ path: ['split', 'modules'], allowed: `an integer from 1 to ${blocks} (its blocks)${orNamed}` }];
}

/** What is wrong with the last blocks of the modules: unknown, out of order, or not ending at the last block. */
export function boundaryIssues(boundaries: readonly string[], depth: number): Issue[] {
  const perStage = blocksPerStage(depth);
  const last = STAGES * perStage - 1;
  const nameOf = (block: number) => `"layer${Math.floor(block / perStage) + 1}.${block % perStage}"`;
  const issues: Issue[] = [];
  let previous = -1;
  for (const [i, name] of boundaries.entries()) {
    const path = ['split', 'boundaries', i];
    const { block, nearest } = findBlock(name, perStage);
    if (block === null) {
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

/** The index of a block, or null and the index of the one whose name is nearest. */
function findBlock(name: string, perStage: number): { block: number | null; nearest: number } {
  const match = /^layer(\d+)\.(\d+)$/.exec(name);
  const stage = match ? Number(match[1]) - 1 : 0;
  const inStage = match ? Number(match[2]) : 0;
  if (stage < 0) return { block: null, nearest: 0 };
  if (stage >= STAGES) return { block: null, nearest: STAGES * perStage - 1 };
  const nearest = stage * perStage + Math.min(inStage, perStage - 1);
  const exists = inStage < perStage && name === `layer${stage + 1}.${inStage}`;
  return { block: exists ? nearest : null, nearest };
}
