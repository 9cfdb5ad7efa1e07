/** Cutting a part out of a graph: the nodes of one task, with the values that enter and leave. */
import { UsageError } from '../errors.js';
import type { Node, Value } from '../graph/index.js';

/** A part of a graph that is to become one ONNX graph. Nodes are in topological order. */
export interface GraphSlice {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly inputs: readonly NamedValue[];
  readonly outputs: readonly NamedValue[];
}

export interface NamedValue {
  readonly name: string;
  readonly value: Value;
  /** It only passes to other slices of the same lowering, which may choose its layout. */
  readonly internal?: boolean;
}

/**
 * The nodes that `outputs` need, as far as `includes` reaches; what they read from elsewhere becomes an input.
 *
 * Names are taken once: by an input or an output.
 *
 * @param includes whether a node may be part of the slice
 * @param nameOf name of a value that enters (inputs of the graph keep their own)
 * @throws UsageError for no outputs, and for a name that is taken twice
 */
export function cut(
  name: string,
  outputs: readonly NamedValue[],
  includes: (node: Node) => boolean,
  nameOf: (value: Value) => string,
): GraphSlice {
  const nodes = new Set<Node>();
  const entering = new Map<Value, string>();
  const pending = outputs.map(({ value }) => value);
  for (let value = pending.pop(); value; value = pending.pop()) {
    if (value.source.kind === 'constant' || entering.has(value)) continue;
    const node = value.producer;
    if (node && nodes.has(node)) continue;
    if (node && includes(node)) {
      nodes.add(node);
      pending.push(...node.inputs);
    } else {
      entering.set(value, value.source.kind === 'input' ? value.source.name : nameOf(value));
    }
  }
  if (outputs.length === 0) throw new UsageError('SLICE_EMPTY', `slice ${name} has no outputs`);
  const inputs = [...entering].sort(([a], [b]) => a.id - b.id).map(([value, label]) => ({ name: label, value }));
  expectDistinct(name, [...inputs, ...outputs]);
  return { name, nodes: [...nodes].sort((a, b) => a.id - b.id), inputs, outputs };
}

function expectDistinct(slice: string, values: readonly NamedValue[]): void {
  const known = new Map<string, Value>();
  for (const { name, value } of values) {
    const other = known.get(name);
    if (other) {
      throw new UsageError(
        'SLICE_NAMES',
        `slice ${slice}: ${other.toString()} and ${value.toString()} are both named '${name}'`,
      );
    }
    known.set(name, value);
  }
}
