/**
 * Reverse-mode differentiation: walks the graph backwards from outputs to the asked-for inputs and emits gradient nodes
 * into the same graph. Nothing is run.
 *
 * The walk visits only nodes that lie between the two, so a gradient stops by itself where nothing beyond is asked for:
 * asking a module's parameters never enters the module below.
 */
import { UsageError } from '../errors.js';
import { add, type Graph, type Node, type OpName, sameShape, type Value, zerosLike } from '../graph/index.js';
import { type GradientRule, placeOf } from './rule.js';
import { gradientRules } from './rules/index.js';

/** An output and the cotangent that flows into it, of the same shape. */
export interface Seed {
  readonly output: Value;
  readonly cotangent: Value;
}

/**
 * Cotangents of `inputs`: Σ over seeds of (∂output/∂input)ᵀ·cotangent.
 *
 * @param unused what to give for an input on which no seed depends: an error, or zeros
 * @returns one value per input, of the input's shape
 * @throws UsageError where an operator on the way has no gradient rule (named), where a cotangent has the wrong shape, where no
 *   seed depends on an input and zeros are not asked for, or where values belong to different graphs
 */
export function gradients(
  seeds: readonly Seed[],
  inputs: readonly Value[],
  unused: 'error' | 'zeros' = 'error',
): Value[] {
  const graph = graphOf(seeds, inputs);
  const cotangents = new Map<Value, Value>();
  for (const { output, cotangent } of seeds) {
    if (!sameShape(output.shape, cotangent.shape)) {
      throw new UsageError('GRADIENT_SHAPE', `cotangent ${cotangent.toString()} does not fit ${output.toString()}`);
    }
    accumulate(cotangents, output, cotangent);
  }
  const targets = new Set(inputs);
  for (const { node, wanted } of nodesBetween(inputs, seeds)) {
    const incoming = node.outputs.map((output) => cotangents.get(output));
    if (incoming.every((cotangent) => cotangent === undefined)) continue;
    const rule = gradientRules[node.op] as GradientRule<OpName> | null;
    if (!rule) throw new UsageError('GRADIENT_MISSING', `${placeOf(node)}: operator ${node.op} has no gradient rule`);
    const outgoing = graph.scoped(node.scope, () => rule(node, incoming, wanted));
    outgoing.forEach((cotangent, i) => {
      if (cotangent && wanted[i]) accumulate(cotangents, node.inputs[i]!, cotangent);
    });
    // A cotangent is consumed here; what stays in the map is only what was asked for.
    for (const output of node.outputs) if (!targets.has(output)) cotangents.delete(output);
  }
  return inputs.map((input) => {
    const cotangent = cotangents.get(input);
    if (!cotangent && unused === 'zeros') return zerosLike(input);
    if (!cotangent) throw new UsageError('GRADIENT_UNREACHED', `no seed depends on ${input.toString()}`);
    return cotangent;
  });
}

/** The one graph of all values. */
function graphOf(seeds: readonly Seed[], inputs: readonly Value[]): Graph {
  const [first] = seeds;
  if (!first) throw new UsageError('GRADIENT_SEEDS', 'gradients: at least one seed is needed');
  const { graph } = first.output;
  for (const value of [...seeds.flatMap(({ output, cotangent }) => [output, cotangent]), ...inputs]) {
    if (value.graph !== graph) {
      const found = `${value.toString()} belongs to graph ${value.graph.name}`;
      throw new UsageError('GRADIENT_GRAPHS', `gradients: ${found}, the first seed to ${graph.name}`);
    }
  }
  return graph;
}

function accumulate(cotangents: Map<Value, Value>, value: Value, cotangent: Value): void {
  const sum = cotangents.get(value);
  cotangents.set(value, sum ? add(sum, cotangent) : cotangent);
}

/** Nodes on a path from an input to a seed, last first, with which of their inputs lie on such a path. */
function nodesBetween(inputs: readonly Value[], seeds: readonly Seed[]): { node: Node; wanted: boolean[] }[] {
  const dependent = new Set<Value>(inputs);
  const between: { node: Node; wanted: boolean[] }[] = [];
  for (const node of nodesInRange(inputs, seeds)) {
    if (!node.inputs.some((input) => dependent.has(input))) continue;
    between.push({ node, wanted: node.inputs.map((input) => dependent.has(input)) });
    for (const output of node.outputs) dependent.add(output);
  }
  return between.reverse();
}

/** Nodes made after the first input and before the last seed: identifiers grow, so no other can lie between them. */
function nodesInRange(inputs: readonly Value[], seeds: readonly Seed[]): Node[] {
  const { nodes } = seeds[0]!.output.graph;
  const firstAbove = (id: number): number => {
    let low = 0;
    let high = nodes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (nodes[middle]!.id < id) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const first = Math.min(...inputs.map(({ id }) => id));
  const last = Math.max(...seeds.map(({ output }) => output.id));
  return nodes.slice(firstAbove(first), firstAbove(last));
}
