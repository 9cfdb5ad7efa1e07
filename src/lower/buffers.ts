/** When ONNX Runtime's CPU provider allocates and frees the values of a graph whose shapes its planner does not know (see `hideBatch`). */
import type { OnnxGraph, OnnxNode } from '../onnx/model.js';
import { executionOrder } from './execution-order.js';

/** What a node does to memory. Values are named that have memory of their own: no views, inputs and initializers. */
export interface BufferStep {
  readonly node: OnnxNode;
  /** Allocated before the node runs. */
  readonly made: readonly string[];
  /** Freed after it has run. Outputs of the graph are not freed. */
  readonly freed: readonly string[];
}

/** Operators whose result is a view of their first operand. */
const views = new Set(['Reshape', 'Identity', 'Squeeze', 'Unsqueeze', 'Flatten']);

/** Steps of a graph in the order in which they run. */
export function bufferSteps(graph: OnnxGraph): BufferStep[] {
  const nodes = executionOrder(graph.nodes);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const owners = new Map([...graph.inputs, ...graph.initializers].map(({ name }) => [name, null as string | null]));
  const lastReaders = new Map<string, number>();
  const made = nodes.map((node, index) => {
    for (const input of node.inputs) {
      const owner = owners.get(input);
      if (owner) lastReaders.set(owner, index);
    }
    return node.outputs.filter((output) => {
      // What leaves the graph is copied, not viewed.
      const isView = views.has(node.opType) && !outputs.has(output);
      owners.set(output, isView ? owners.get(node.inputs[0]!)! : output);
      if (!isView) lastReaders.set(output, index);
      return !isView;
    });
  });
  const freed = nodes.map((): string[] => []);
  for (const [value, index] of lastReaders) if (!outputs.has(value)) freed[index]!.push(value);
  return nodes.map((node, index) => ({ node, made: made[index]!, freed: freed[index]! }));
}
