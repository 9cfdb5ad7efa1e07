/** How the blocked lowering writes each operator; those that are missing here are written portably. */
import type { Node, OpName } from '../../graph/index.js';
import { convRules } from './conv.js';
import { elementwiseRules } from './elementwise.js';
import { mapRules } from './maps.js';
import { normRules } from './norm.js';
import type { BlockedWriter } from './writer.js';

/** Writes a node and returns true, or returns false and leaves it to the portable lowering. */
export type BlockedRule<O extends OpName> = (writer: BlockedWriter, node: Node<O>) => boolean;

export type BlockedRules = { readonly [O in OpName]?: BlockedRule<O> };

export const blockedRules: BlockedRules = {
  ...convRules,
  ...normRules,
  ...elementwiseRules,
  ...mapRules,
};
