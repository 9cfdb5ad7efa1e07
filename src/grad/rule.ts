/** What a gradient rule is. */
import { UsageError } from '../errors.js';
import type { Node, OpName, Value } from '../graph/index.js';

/**
 * Cotangents of a node's inputs from those of its outputs (vector-Jacobian product), as new nodes of the same graph.
 *
 * @param node the node to differentiate
 * @param cotangents one per output; undefined where nothing flows in (zero)
 * @param wanted whether each input's cotangent is needed; a rule may skip the others
 * @returns one per input; undefined where it is zero or not wanted
 */
export type GradientRule<O extends OpName> = (
  node: Node<O>,
  cotangents: readonly (Value | undefined)[],
  wanted: readonly boolean[],
) => readonly (Value | undefined)[];

/** Gradient rules for the operators of a family; null marks one that has none (it is itself a gradient). */
export type RulesFor<Ops> = { readonly [O in keyof Ops & OpName]: GradientRule<O> | null };

/** For rules of operators with one output: it is only called when that output has a cotangent. */
export const only = (cotangents: readonly (Value | undefined)[]): Value => cotangents[0]!;

/** Graph and scope of a node, for messages. */
export const placeOf = (node: Node): string => [node.outputs[0]!.graph.name, node.scope].filter(Boolean).join('/');

/** The error for what a rule does not differentiate. */
export const refused = (node: Node, code: string, problem: string): UsageError =>
  new UsageError(code, `${placeOf(node)}: ${node.op}: ${problem}`);
