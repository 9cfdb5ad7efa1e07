/** Turns a slice of logical operators into an ONNX model, with the rules of one lowering. */
import { UsageError } from '../errors.js';
import type { Node, OpName, Value } from '../graph/index.js';
import type { OnnxModel, OnnxNode, OnnxTensor } from '../onnx/model.js';
import { Emitter } from './emitter.js';
import { orderLeaves } from './execution-order.js';
import type { GraphSlice, NamedValue } from './slice.js';

/** How a target writes one operator. @param inputs names of the lowered inputs @returns names of the outputs */
export type LoweringRule<O extends OpName> = (
  emit: Emitter,
  node: Node<O>,
  inputs: readonly string[],
) => readonly string[];

/** Rules for a family of operators. */
export type LoweringFor<Ops> = { readonly [O in keyof Ops & OpName]: LoweringRule<O> };

export type LoweringRules = { readonly [O in OpName]: LoweringRule<O> };

/** Writes the nodes of one slice. */
export interface SliceWriter {
  write(node: Node): void;
  /** Name of a value in the form in which it leaves the slice. */
  outputName(output: NamedValue): string;
}

/** A target: a name, what it needs, and how it writes a slice. */
export interface Lowering {
  readonly name: string;
  readonly irVersion: number;
  /** Versions of ONNX Runtime that can run its graphs, e.g. `>=1.20`. */
  readonly onnxRuntime: string;
  readonly opsets: Readonly<Record<string, number>>;
  /** Channels that lie beside each other; absent: maps are not blocked. */
  readonly block?: number;
  readonly writer: (emit: Emitter, slice: GraphSlice) => SliceWriter;
}

/** @throws UsageError where the lowering cannot write a node, naming it and its place */
export function lower(slice: GraphSlice, lowering: Lowering): OnnxModel {
  const emit = new Emitter();
  for (const { name } of [...slice.inputs, ...slice.outputs]) emit.reserve(name);
  const writer = lowering.writer(emit, slice);
  for (const node of slice.nodes) {
    emit.enter(placeOf(node));
    try {
      writer.write(node);
    } catch (error) {
      throw placed(error, slice, lowering, node);
    }
  }
  const names = slice.outputs.map((output) => {
    enterOutput(emit, output);
    return writer.outputName(output);
  });
  const nodes = pruned(renameOutputs(emit, slice, names), slice);
  return {
    irVersion: lowering.irVersion,
    opsets: lowering.opsets,
    producerName: 'hpff',
    graph: {
      name: slice.name,
      nodes: orderLeaves(nodes),
      inputs: slice.inputs.map(({ name, value }) => ({ name, dtype: value.dtype, shape: value.shape })),
      outputs: slice.outputs.map(({ name, value }) => ({ name, dtype: value.dtype, shape: value.shape })),
      initializers: usedInitializers(emit, nodes),
    },
  };
}

/** What the names of a node's ONNX nodes begin with: its task and its layer, e.g. `3/update/layer1.0/conv1`. */
const placeOf = ({ section, scope }: Node): string => join(section, scope);

/** What brings an output into its form is named after the task that makes it. */
function enterOutput(emit: Emitter, { value }: NamedValue): void {
  emit.enter(join(value.producer?.section, 'output'));
}

const join = (...parts: readonly (string | undefined)[]): string => parts.filter(Boolean).join('/');

function placed(error: unknown, slice: GraphSlice, { name }: Lowering, node: Node): unknown {
  if (!(error instanceof UsageError)) return error;
  const place = slice.name === node.section ? placeOf(node) : join(slice.name, placeOf(node));
  return new UsageError(error.code, `${place}: ${node.op} in the ${name} lowering: ${error.message}`, { cause: error });
}

/** Writes every value in one form, operator by operator. */
export function ruleWriter(rules: LoweringRules): Lowering['writer'] {
  return (emit, slice) => {
    const names = new ValueNames(emit, slice);
    return {
      write: (node) => {
        const rule = rules[node.op] as LoweringRule<OpName>;
        const outputs = rule(
          emit,
          node,
          node.inputs.map((input) => names.of(input)),
        );
        node.outputs.forEach((output, i) => names.set(output, outputs[i]!));
      },
      outputName: ({ value }) => names.of(value),
    };
  };
}

/** Names of lowered values; constants become initializers at their first use. */
export class ValueNames {
  private readonly names = new Map<Value, string>();

  constructor(
    private readonly emit: Emitter,
    private readonly slice: GraphSlice,
  ) {
    for (const { name, value } of slice.inputs) this.names.set(value, name);
  }

  has(value: Value): boolean {
    return this.names.has(value) || value.source.kind === 'constant';
  }

  set(value: Value, name: string): void {
    this.names.set(value, name);
  }

  delete(value: Value): void {
    this.names.delete(value);
  }

  of(value: Value): string {
    const known = this.names.get(value);
    if (known !== undefined) return known;
    if (value.source.kind !== 'constant') {
      throw new UsageError('SLICE_INCOMPLETE', `slice ${this.slice.name} does not hold ${value.toString()}`);
    }
    const { dtype, data, shape } = value.source.tensor;
    const name = this.emit.initializer(dtype as 'float32' | 'int64', data as Float32Array | BigInt64Array, shape);
    this.names.set(value, name);
    return name;
  }
}

function usedInitializers(emit: Emitter, nodes: readonly OnnxNode[]): OnnxTensor[] {
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  return [...emit.initializers.values()].filter(({ name }) => read.has(name));
}

/** Gives produced outputs the names that the slice asks for; passes on inputs, constants and second names by Identity. */
function renameOutputs(emit: Emitter, slice: GraphSlice, names: readonly string[]): OnnxNode[] {
  const produced = new Set(emit.nodes.flatMap((node) => node.outputs));
  const renames = new Map<string, string>();
  for (const [i, output] of slice.outputs.entries()) {
    const { name } = output;
    const current = names[i]!;
    enterOutput(emit, output);
    const own = produced.has(current) && !renames.has(current) ? current : emit.op('Identity', [current]);
    renames.set(own, name);
  }
  const rename = (name: string): string => renames.get(name) ?? name;
  return emit.nodes.map((node) => ({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) }));
}

/** Drops nodes that no output needs: a rule may emit more than is used. */
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
