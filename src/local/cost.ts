/** What a training step costs, counted on its graph: parameters, floating-point operations, bytes of activations. */
import type { Node, Value } from '../graph/index.js';
import { staticShape } from '../graph/index.js';
import { elementCount } from '../files/tensor.js';
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
  /** What the forward pass keeps for the backward passes, the features included. */
  readonly activationBytes: number;
  /** Heads by name, e.g. `independent/classifier`. */
  readonly heads: readonly string[];
}

/** Costs of each module. Convolutions and matrix products count as operations; elementwise work does not. */
export function moduleCosts(step: StepGraph): ModuleCost[] {
  const sizes = new Map(step.parameters.map(({ name, shape }) => [name, elementCount(shape)]));
  const total = (names: readonly string[]): number => names.reduce((sum, name) => sum + sizes.get(name)!, 0);
  return step.modules.map(({ index, parts, parameters, headParameters }) => {
    const flopsOf = (belongs: (section: string) => boolean): number =>
      step.graph.nodes.reduce((sum, node) => (belongs(node.section) ? sum + nodeFlops(node) : sum), 0);
    return {
      blocks: parts,
      parameters: total(parameters),
      headParameters: total(headParameters),
      forwardFlops: flopsOf((section) => section === `${index}/forward`),
      flops: flopsOf((section) => section.startsWith(`${index}/`)),
      activationBytes: stashBytes(step, `${index}/forward`),
      heads: step.losses.flatMap(({ name }) => (name.startsWith(`${index}/`) ? [name.slice(`${index}/`.length)] : [])),
    };
  });
}

/** Floating-point operations of a node. */
export function nodeFlops(node: Node): number {
  const elements = (value: Value): number => elementCount(staticShape(value.shape));
  const [a, b] = node.inputs;
  switch (node.op) {
    // Every element of the smaller-kernel side meets every output position: outputs × (C/groups · kh · kw).
    case 'Conv':
      return 2 * elements(node.outputs[0]!) * elementCount(staticShape(b!.shape).slice(1));
    case 'ConvInputGrad':
      return 2 * elements(a!) * elementCount(staticShape(b!.shape).slice(1));
    case 'ConvWeightGrad':
      return 2 * elements(b!) * elementCount(staticShape(node.outputs[0]!.shape).slice(1));
    case 'MatMul': {
      const { transA } = (node as Node<'MatMul'>).attributes;
      return 2 * elements(node.outputs[0]!) * (a!.shape.at(transA ? -2 : -1) as number);
    }
    default:
      return 0;
  }
}

/** Bytes of the values that a section makes and another reads. */
function stashBytes(step: StepGraph, section: string): number {
  const crossing = new Set<Value>();
  for (const node of step.graph.nodes) {
    if (node.section === section) continue;
    for (const value of node.inputs) if (value.producer?.section === section) crossing.add(value);
  }
  return [...crossing].reduce((sum, value) => sum + 4 * elementCount(staticShape(value.shape)), 0);
}
