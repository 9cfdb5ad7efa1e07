/** What the tasks of a step hand on to others, in bytes: the memory that a pipeline keeps for each batch under way. */
import type { Value } from '../graph/index.js';
import { valueBytes } from './alive.js';
import type { StepGraph } from './step.js';

export interface PassingBytes {
  /** Of each module: activations and features, cotangents, relays. */
  readonly modules: readonly number[];
  /** Of each module: the features that come to it from the module below. */
  readonly entering: readonly number[];
}

export function passingBytes({ graph, modules }: StepGraph): PassingBytes {
  const made = modules.map(() => 0);
  const entering = modules.map(() => 0);
  const [seen, entered] = [new Set<Value>(), new Set<Value>()];
  for (const node of graph.nodes) {
    for (const value of node.inputs) {
      const section = value.producer?.section;
      if (section === undefined || section === node.section) continue;
      const [from, to] = [moduleOf(section), moduleOf(node.section)];
      if (from === undefined || to === undefined) continue;
      if (!seen.has(value)) made[from]! += valueBytes(value);
      seen.add(value);
      if (from >= to || entered.has(value)) continue;
      entering[to]! += valueBytes(value);
      entered.add(value);
    }
  }
  return { modules: made, entering };
}

/** Of a section as `sectionOf` names it; undefined for those of no module. */
function moduleOf(section: string): number | undefined {
  const found = /^(\d+)\//.exec(section);
  return found ? Number(found[1]) : undefined;
}
