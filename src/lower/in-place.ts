/** Proof that a graph may write an output over one of its inputs. */
import type { OnnxModel, OnnxNode } from '../onnx/model.js';

/** Operators whose output may share the buffer of their input: reading it is reading the input. */
const views = new Set(['Reshape', 'Identity', 'Squeeze', 'Unsqueeze', 'Flatten']);

/** Operators that read each element before they write it at the same place. */
const elementwise = new Set(['Add', 'Sub', 'Mul', 'Div', 'Neg']);

/** The edges of a model, indexed once for many questions. */
export class InPlaceProof {
  private readonly producers = new Map<string, OnnxNode>();
  private readonly readers = new Map<string, OnnxNode[]>();
  private readonly outputs: ReadonlySet<string>;

  constructor(model: OnnxModel) {
    this.outputs = new Set(model.graph.outputs.map(({ name }) => name));
    for (const node of model.graph.nodes) {
      for (const name of node.outputs) this.producers.set(name, node);
      for (const name of node.inputs) {
        const known = this.readers.get(name);
        if (known) known.push(node);
        else this.readers.set(name, [node]);
      }
    }
  }

  /**
   * Whether `output` may be written into the buffer of `input` (of the same shape), whatever order a runtime gives the nodes.
   *
   * That holds where every node that reads the input, directly or through a view of it, is the one that makes the output or an ancestor of
   * it, and where the maker is elementwise and, if it reads the input, reads it unbroadcast (an equal shape).
   */
  holds(input: string, output: string): boolean {
    const maker = this.producers.get(output);
    if (!maker || !elementwise.has(maker.opType) || maker.outputs.length !== 1) return false;
    const before = ancestors(maker, this.producers);
    const aliases = [input];
    for (let alias = aliases.pop(); alias !== undefined; alias = aliases.pop()) {
      for (const reader of this.readers.get(alias) ?? []) {
        if (reader === maker && alias === input) continue;
        // A view read by the maker may have another shape than the output.
        if (reader === maker || !before.has(reader)) return false;
        if (views.has(reader.opType)) {
          if (reader.outputs.some((name) => this.outputs.has(name))) return false;
          aliases.push(...reader.outputs);
        }
      }
    }
    return true;
  }
}

function ancestors(node: OnnxNode, producers: ReadonlyMap<string, OnnxNode>): Set<OnnxNode> {
  const found = new Set<OnnxNode>();
  const pending = [node];
  for (let next = pending.pop(); next; next = pending.pop()) {
    for (const name of next.inputs) {
      const producer = producers.get(name);
      if (producer && !found.has(producer)) {
        found.add(producer);
        pending.push(producer);
      }
    }
  }
  return found;
}
