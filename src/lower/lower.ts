/** Turns a slice of logical operators into an ONNX model, with the rules of one lowering. */
import type { Node, OpName, Value } from '../graph/index.js';
import type { OnnxModel, OnnxNode } from '../onnx/model.js';
import { Emitter } from './emitter.js';
import { orderLeaves } from './execution-order.js';
import type { GraphSlice } from './slice.js';

/** How a target writes one operator. @param inputs names of the lowered inputs @returns names of the outputs */
export type LoweringRule<O extends OpName> = (
  emit: Emitter,
  node: Node<O>,
  inputs: readonly string[],
) => readonly string[];

/** Rules for a family of operators. */
export type LoweringFor<Ops> = { readonly [O in keyof Ops & OpName]: LoweringRule<O> };

/** A target: a name, what it needs, and a rule for every operator. */
export interface Lowering {
  readonly name: string;
  readonly irVersion: number;
  /** Versions of ONNX Runtime that can run its graphs, e.g. `>=1.20`. */
  readonly onnxRuntime: string;
  readonly opsets: Readonly<Record<string, number>>;
  readonly rules: { readonly [O in OpName]: LoweringRule<O> };
}

export function lower(slice: GraphSlice, lowering: Lowering): OnnxModel {
  const emit = new Emitter();
  const names = new Map<Value, string>();
  for (const { name, value } of slice.inputs) {
    emit.reserve(name);
    names.set(value, name);
  }
  for (const { name } of slice.outputs) emit.reserve(name);
  const nameOf = (value: Value): string => {
    const known = names.get(value);
    if (known !== undefined) return known;
    if (value.source.kind !== 'constant') throw new Error(`slice ${slice.name} does not hold ${value.toString()}`);
    const { dtype, data, shape } = value.source.tensor;
    const name = emit.initializer(dtype as 'float32' | 'int64', data as Float32Array | BigInt64Array, shape);
    names.set(value, name);
    return name;
  };
  for (const node of slice.nodes) {
    emit.enter(node.scope);
    const rule = lowering.rules[node.op] as LoweringRule<OpName>;
    const outputs = rule(emit, node, node.inputs.map(nameOf));
    node.outputs.forEach((output, i) => names.set(output, outputs[i]!));
  }
  const renamed = renameOutputs(emit, slice, nameOf);
  return {
    irVersion: lowering.irVersion,
    opsets: lowering.opsets,
    producerName: 'hpff',
    graph: {
      name: slice.name,
      nodes: orderLeaves(pruned(renamed, slice)),
      inputs: slice.inputs.map(({ name, value }) => ({ name, dtype: value.dtype, shape: value.shape })),
      outputs: slice.outputs.map(({ name, value }) => ({ name, dtype: value.dtype, shape: value.shape })),
      initializers: [...emit.initializers.values()],
    },
  };
}

/** Gives produced outputs the names that the slice asks for; passes on inputs, constants and second names by Identity. */
function renameOutputs(emit: Emitter, slice: GraphSlice, nameOf: (value: Value) => string): OnnxNode[] {
  const produced = new Set(emit.nodes.flatMap((node) => node.outputs));
  const renames = new Map<string, string>();
  const copies: { from: string; to: string }[] = [];
  for (const { name, value } of slice.outputs) {
    const current = nameOf(value);
    if (produced.has(current) && !renames.has(current)) renames.set(current, name);
    else copies.push({ from: current, to: name });
  }
  const rename = (name: string): string => renames.get(name) ?? name;
  const nodes = emit.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
  }));
  const identities = copies.map(({ from, to }) => ({
    name: `output/${to}`,
    domain: '',
    opType: 'Identity',
    inputs: [rename(from)],
    outputs: [to],
    attributes: {},
  }));
  return [...nodes, ...identities];
}

/** Drops nodes that no output needs (a rule may emit more than is used) and output names that nobody reads. */
function pruned(nodes: readonly OnnxNode[], slice: GraphSlice): OnnxNode[] {
  const needed = new Set(slice.outputs.map(({ name }) => name));
  const kept: OnnxNode[] = [];
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    node.inputs.forEach((input) => needed.add(input));
    kept.push(node);
  }
  return kept.reverse();
}
