/**
 * The order in which ONNX Runtime runs the nodes of a graph, and how to choose it.
 *
 * ORT does not follow the order of the file. It walks depth first from the leaves (nodes whose outputs no node reads), the last leaf of the file
 * first, and for each node visits the inputs that stand latest in the file first; it runs nodes as the walk leaves them
 * (`GraphViewer`, `ReverseDFSFrom`). So the leaves decide: what the last leaf needs is run first, then what the leaf before it needs
 * in addition, and so on. Leaves may stand anywhere behind their inputs, so they can all be put at the end of a file that is still in topological
 * order.
 */
import type { OnnxNode } from '../onnx/model.js';

/** Nodes in the order in which ONNX Runtime (without graph optimization) will run them. */
export function executionOrder(nodes: readonly OnnxNode[]): OnnxNode[] {
  const inputs = inputIndices(nodes);
  const read = new Set(inputs.flat());
  const order: OnnxNode[] = [];
  const visited = new Set<number>();
  const stack: { index: number; leave: boolean }[] = [];
  nodes.forEach((_, index) => {
    if (!read.has(index)) stack.push({ index, leave: false });
  });
  for (let entry = stack.pop(); entry; entry = stack.pop()) {
    const { index, leave } = entry;
    if (leave) order.push(nodes[index]!);
    if (leave || visited.has(index)) continue;
    visited.add(index);
    stack.push({ index, leave: true });
    for (const input of inputs[index]!) if (!visited.has(input)) stack.push({ index: input, leave: false });
  }
  return order;
}

/**
 * Moves the leaves to the end, those that can be finished first last. A leaf can be finished when the last of the nodes that it shares with
 * other leaves has run; what only it needs counts only among leaves that are otherwise equal. A weight gradient is thus computed as soon as the backward pass has come by,
 * and the activation it needs is freed, instead of both waiting for the end.
 *
 * @param nodes in topological order
 * @returns the same nodes, in topological order
 */
export function orderLeaves(nodes: readonly OnnxNode[]): OnnxNode[] {
  const inputs = inputIndices(nodes);
  const leafOf = exclusiveLeaves(nodes.length, inputs);
  const ready: number[] = [];
  nodes.forEach((_, index) => {
    const latest = Math.max(-1, ...inputs[index]!.map((input) => ready[input]!));
    ready.push(leafOf[index] === null ? index : latest);
  });
  const own = new Map<number, number>();
  for (const leaf of leafOf) if (leaf !== null) own.set(leaf, (own.get(leaf) ?? 0) + 1);
  const isLeaf = (index: number): boolean => leafOf[index] === index;
  const leaves = [...nodes.keys()].filter(isLeaf);
  leaves.sort((a, b) => ready[b]! - ready[a]! || own.get(b)! - own.get(a)! || b - a);
  return [...nodes.filter((_, index) => !isLeaf(index)), ...leaves.map((index) => nodes[index]!)];
}

/** For each node the one leaf that needs it, or null where several do. A leaf needs itself. */
function exclusiveLeaves(count: number, inputs: readonly (readonly number[])[]): (number | null)[] {
  const leafOf = new Array<number | null | undefined>(count).fill(undefined);
  for (let index = count - 1; index >= 0; index--) {
    if (leafOf[index] === undefined) leafOf[index] = index;
    for (const input of inputs[index]!) {
      const known = leafOf[input];
      leafOf[input] = known === undefined || known === leafOf[index] ? leafOf[index] : null;
    }
  }
  return leafOf as (number | null)[];
}

/** For each node the indices of the nodes whose outputs it reads, ascending, each once. */
function inputIndices(nodes: readonly OnnxNode[]): number[][] {
  const producers = new Map<string, number>();
  nodes.forEach(({ outputs }, index) => outputs.forEach((name) => producers.set(name, index)));
  return nodes.map(({ inputs }) => {
    const indices = inputs.map((name) => producers.get(name)).filter((index) => index !== undefined);
    return [...new Set(indices)].sort((a, b) => a - b);
  });
}
