/** Proof that a graph may write an output over one of its inputs. */
import type { OnnxModel, OnnxNode } from '../onnx/model.js';

/** Operators whose output may share the buffer of their input: reading it is reading the input. */
const views = new Set(['Reshape', 'Identity', 'Squeeze', 'Unsqueeze', 'Flatten']);

/** Operators that read each element before they write it at the same place. */
const elementwise = new Set(['Add', 'Sub', 'Mul', 'Div', 'Neg']);

/** The edges of a model, indexed once for many questions. */
export class InPlaceProof {
  private readonly nodes: readonly OnnxNode[];
  /** Of each value the index of the node that makes it. */
  private readonly producers = new Map<string, number>();
  /** Of each value the indices of the nodes that read it, ascending. */
  private readonly readers = new Map<string, number[]>();
  private readonly outputs: ReadonlySet<string>;

  /** @param model whose nodes are in topological order */
  constructor({ graph: { nodes, outputs } }: OnnxModel) {
    this.nodes = nodes;
    this.outputs = new Set(outputs.map(({ name }) => name));
    nodes.forEach((node, index) => {
      for (const name of node.outputs) this.producers.set(name, index);
      for (const name of node.inputs) {
        const known = this.readers.get(name);
        if (known) known.push(index);
        else this.readers.set(name, [index]);
      }
    });
  }

  /**
   * Whether `output` may be written into the buffer of `input` (of the same shape), whatever order a runtime gives the nodes.
   *
   * That holds where every node that reads the input, directly or through a view of it, is the one that makes the output or an ancestor of
   * it, and where the maker is elementwise and, if it reads the input, reads it unbroadcast (an equal shape).
   */
  holds(input: string, output: string): boolean {
    const maker = this.producers.get(output);
    if (maker === undefined) return false;
    const { opType, outputs } = this.nodes[maker]!;
    if (!elementwise.has(opType) || outputs.length !== 1) return false;
    // Readers of the input and of its views stand where it is first read, or behind.
    const before = this.ancestors(maker, this.readers.get(input)?.[0] ?? maker);
    const aliases = [input];
    for (let alias = aliases.pop(); alias !== undefined; alias = aliases.pop()) {
      for (const index of this.readers.get(alias) ?? []) {
        if (index === maker && alias === input) continue;
        // A view read by the maker may have another shape than the output.
        if (index === maker || !before.has(index)) return false;
        const reader = this.nodes[index]!;
        if (views.has(reader.opType)) {
          if (reader.outputs.some((name) => this.outputs.has(name))) return false;
          aliases.push(...reader.outputs);
        }
      }
    }
    return true;
  }

  /** Indices, from `first` on, of the nodes that a node depends on. */
  private ancestors(node: number, first: number): Set<number> {
    const found = new Set<number>();
    const pending = [node];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      for (const name of this.nodes[next]!.inputs) {
        const producer = this.producers.get(name) ?? -1;
        if (producer < first || found.has(producer)) continue;
        found.add(producer);
        pending.push(producer);
      }
    }
    return found;
  }
}
