/** What a training step costs, counted on its graph: parameters, floating-point operations, bytes of activations. */
import { elementCount } from '../files/tensor.js';
import type { Value } from '../graph/index.js';
import { peakBytes, valueBytes } from './alive.js';
import { nodeFlops } from './flops.js';
import type { StepGraph } from './step.js';

export interface ModuleCost {
  /** Parts of the trunk: stem, blocks, fc. */
  readonly blocks: readonly string[];
  /** Trunk parameters. */
  readonly parameters: number;
  readonly headParameters: number;
  /** Of the module's forward pass, for one batch. Multiply-adds count as two. */
  readonly forwardFlops: number;
  /** Of all its tasks in one step: forward, heads, relay, update. */
  readonly flops: number;
  /** What the forward pass of one run keeps for the backward passes, the features included. */
  readonly activationBytes: number;
  /** The most that its heads make alive at once, run one after another in the order of the graph. */
  readonly headBytes: number;
  /** Heads by name, e.g. `independent/classifier`. */
  readonly heads: readonly string[];
}

/** Costs of each module. Convolutions and matrix products count as operations; elementwise work does not. */
export function moduleCosts(step: StepGraph): ModuleCost[] {
  const sizes = new Map(step.parameters.map(({ name, shape }) => [name, elementCount(shape)]));
  const total = (names: readonly string[]): number => names.reduce((sum, name) => sum + sizes.get(name)!, 0);
  return step.modules.map(({ index, parts, parameters, headParameters }) => {
    const flopsOf = (belongs: (section: string) => boolean): number =>
      step.runs * step.graph.nodes.reduce((sum, node) => (belongs(node.section) ? sum + nodeFlops(node) : sum), 0);
    return {
      blocks: parts,
      parameters: total(parameters),
      headParameters: total(headParameters),
      forwardFlops: flopsOf((section) => section === `${index}/forward`),
      flops: flopsOf((section) => section.startsWith(`${index}/`)),
      activationBytes: stashBytes(step, `${index}/forward`),
      headBytes: peakBytes(
        step.graph.nodes.filter(
          ({ section, scope }) => section === `${index}/heads` && !scope.startsWith('optimizer/'),
        ),
      ),
      heads: step.losses.flatMap(({ name }) => (name.startsWith(`${index}/`) ? [name.slice(`${index}/`.length)] : [])),
    };
  });
}

/** Bytes of the values that a section makes and another reads. */
function stashBytes(step: StepGraph, section: string): number {
  const crossing = new Set<Value>();
  for (const node of step.graph.nodes) {
    if (node.section === section) continue;
    for (const value of node.inputs) if (value.producer?.section === section) crossing.add(value);
  }
  return [...crossing].reduce((sum, value) => sum + valueBytes(value), 0);
}
