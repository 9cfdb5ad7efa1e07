/** Who makes and who reads the values of an ONNX graph: what a rewriting pass needs to know. */
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../onnx/model.js';

export class Readers {
  private readonly producers = new Map<string, OnnxNode>();
  private readonly counts = new Map<string, number>();
  private readonly tensors: ReadonlyMap<string, OnnxTensor>;

  constructor(graph: OnnxGraph) {
    const outputs = graph.outputs.map(({ name }) => name);
    for (const name of [...graph.nodes.flatMap(({ inputs }) => inputs), ...outputs]) {
      this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    }
    for (const node of graph.nodes) for (const output of node.outputs) this.producers.set(output, node);
    this.tensors = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  }

  /** Whether one input of one node, or one output of the graph, is all that reads a value. */
  isReadOnce(name: string): boolean {
    return this.counts.get(name) === 1;
  }

  /** The node of type `opType` that makes the value, if nothing else reads what it makes. */
  onlyReaderOf(opType: string, name: string): OnnxNode | null {
    const node = this.producers.get(name);
    return node?.opType === opType && node.domain === '' && this.isReadOnce(name) ? node : null;
  }

  tensor(name: string | undefined): OnnxTensor | null {
    return (name !== undefined && this.tensors.get(name)) || null;
  }
}

/** Elements of a float32 tensor, as a copy, at whatever alignment its bytes lie. */
export function floatsOf({ bytes }: OnnxTensor): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}

export function floatTensor(name: string, shape: readonly number[], data: Float32Array): OnnxTensor {
  return { name, dtype: 'float32', shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}
