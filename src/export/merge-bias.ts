/** Puts the bias of a fully connected layer into its Gemm: x·wᵀ, then + b, becomes one node. */
import type { OnnxGraph, OnnxNode } from '../onnx/model.js';
import { Readers } from './readers.js';

/** The graph with every Add gone that only adds a constant row to a Gemm without bias. */
export function mergeBias(graph: OnnxGraph): OnnxGraph {
  const readers = new Readers(graph);
  const merged = new Map<OnnxNode, OnnxNode>();
  const dropped = new Set<OnnxNode>();
  for (const add of graph.nodes) {
    const [sum, biasName] = add.inputs;
    const gemm = add.opType === 'Add' ? readers.onlyReaderOf('Gemm', sum!) : null;
    const bias = readers.tensor(biasName);
    if (!gemm || gemm.inputs.length !== 2 || bias?.shape.length !== 1) continue;
    merged.set(gemm, { ...gemm, inputs: [...gemm.inputs, bias.name], outputs: add.outputs });
    dropped.add(add);
  }
  const nodes = graph.nodes.filter((node) => !dropped.has(node)).map((node) => merged.get(node) ?? node);
  return { ...graph, nodes };
}
