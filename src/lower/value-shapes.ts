/**
 * Shapes of all values of a lowered graph, for the operators that lowerings write.
 *
 * A dimension that is not known is NaN, and so is what is computed from it.
 */
import { UsageError } from '../errors.js';
import { elementCount } from '../files/tensor.js';
import type { OnnxGraph, OnnxNode } from '../onnx/model.js';
import { int64s } from './int64.js';

export type KnownShape = readonly number[];

/**
 * @param block channels in a block of the blocked layout
 * @param inputs shapes of inputs that the graph itself does not fully tell
 * @throws UsageError for an operator that is not known here
 */
export function valueShapes(
  graph: OnnxGraph,
  block: number,
  inputs: ReadonlyMap<string, KnownShape> = new Map(),
): Map<string, KnownShape> {
  const shapes = new Map<string, KnownShape>();
  const integers = new Map<string, readonly number[]>();
  for (const { name, shape } of graph.inputs) {
    const told = shape!.map((dim) => (typeof dim === 'number' ? dim : NaN));
    shapes.set(name, inputs.get(name) ?? told);
  }
  for (const tensor of graph.initializers) {
    shapes.set(tensor.name, tensor.shape);
    if (tensor.dtype === 'int64') integers.set(tensor.name, int64s(tensor));
  }
  for (const node of graph.nodes) {
    const shapeOf = rules[node.opType];
    if (!shapeOf) throw new UsageError('LOWER_SHAPE', `node '${node.name}': the shape of ${node.opType} is not known`);
    const context: NodeContext = {
      inputs: node.inputs.map((name) => shapes.get(name)!),
      integers: node.inputs.map((name) => integers.get(name)),
      attributes: new Attributes(node),
      block,
    };
    const [output] = node.outputs as [string];
    shapes.set(output, shapeOf(context));
    const computed = integerRules[node.opType]?.(context);
    if (computed) integers.set(output, computed);
  }
  return shapes;
}

/** What the shape of a node's output depends on. */
interface NodeContext {
  readonly inputs: readonly KnownShape[];
  /** Elements of each input that holds integers known beforehand. */
  readonly integers: readonly (readonly number[] | undefined)[];
  readonly attributes: Attributes;
  readonly block: number;
}

/** All operators that lowerings write have one output. */
type ShapeRule = (node: NodeContext) => KnownShape;

class Attributes {
  constructor(private readonly node: OnnxNode) {}

  int(name: string, otherwise: number): number {
    const found = this.node.attributes[name];
    return found?.type === 'int' ? found.value : otherwise;
  }

  ints(name: string): readonly number[] | undefined {
    const found = this.node.attributes[name];
    return found?.type === 'ints' ? found.value : undefined;
  }
}

const same: ShapeRule = ({ inputs: [x] }) => x!;
const broadcast: ShapeRule = ({ inputs: [a, b] }) => broadcastShapes(a!, b!);

/** [N, channels, …] of a convolution or pooling. */
function windows({ inputs: [x], attributes }: NodeContext, channels: number, kernel: KnownShape): KnownShape {
  const [batch, , ...sides] = x!;
  const [strides, dilations, pads] = ['strides', 'dilations', 'pads'].map((name) => attributes.ints(name));
  const placed = sides.map((size, axis) => {
    const padding = (pads?.[axis] ?? 0) + (pads?.[axis + sides.length] ?? 0);
    const reach = (kernel[axis]! - 1) * (dilations?.[axis] ?? 1) + 1;
    return Math.floor((size + padding - reach) / (strides?.[axis] ?? 1)) + 1;
  });
  return [batch!, channels, ...placed];
}

const convTranspose: ShapeRule = ({ inputs: [x, weight], attributes }) => {
  const [batch, , ...sides] = x!;
  const [, perGroup, ...kernel] = weight!;
  const [strides, pads, extra] = ['strides', 'pads', 'output_padding'].map((name) => attributes.ints(name));
  const spread = sides.map((size, axis) => {
    const padding = (pads?.[axis] ?? 0) + (pads?.[axis + sides.length] ?? 0);
    return (size - 1) * (strides?.[axis] ?? 1) + kernel[axis]! + (extra?.[axis] ?? 0) - padding;
  });
  return [batch!, perGroup! * attributes.int('group', 1), ...spread];
};

const reduce: ShapeRule = ({ inputs: [x], integers: [, given], attributes }) => {
  const axes = (attributes.ints('axes') ?? given)?.map((axis) => (axis < 0 ? axis + x!.length : axis));
  const reduced = (axis: number): boolean => !axes || axes.includes(axis);
  return attributes.int('keepdims', 1)
    ? x!.map((dim, axis) => (reduced(axis) ? 1 : dim))
    : x!.filter((_, axis) => !reduced(axis));
};

const reshape: ShapeRule = ({ inputs: [x], integers: [, target] }) => {
  // 0 keeps a dimension, -1 takes what is left.
  const kept = target!.map((dim, axis) => (dim === 0 ? x![axis]! : dim));
  const known = elementCount(kept.filter((dim) => dim !== -1));
  return kept.map((dim) => (dim === -1 ? elementCount(x!) / known : dim));
};

const slice: ShapeRule = ({ inputs: [x], integers: [, starts, ends, axes, steps] }) => {
  const shape = [...x!];
  starts!.forEach((from, i) => {
    const axis = axes?.[i] ?? i;
    const size = shape[axis]!;
    const within = (index: number): number => Math.min(Math.max(index < 0 ? index + size : index, 0), size);
    shape[axis] = Math.ceil((within(ends![i]!) - within(from)) / (steps?.[i] ?? 1));
  });
  return shape;
};

const each = (operators: string, rule: ShapeRule): Record<string, ShapeRule> =>
  Object.fromEntries(operators.split(' ').map((operator) => [operator, rule]));

/** By operator; those of the blocked domain have names of their own or the shapes of their namesakes. */
const rules: Readonly<Record<string, ShapeRule>> = {
  ...each('Abs BatchNormalization Exp HardSigmoid Identity Log Neg Reciprocal Relu Sigmoid Softmax Sqrt', same),
  ...each('Add Div Mul Sub', broadcast),
  ...each('ReduceMax ReduceMean ReduceSum', reduce),
  AveragePool: (node) => windows(node, node.inputs[0]![1]!, node.attributes.ints('kernel_shape')!),
  Concat: ({ inputs, attributes }) => {
    const axis = attributes.int('axis', 0);
    return inputs[0]!.with(
      axis,
      inputs.reduce((sum, shape) => sum + shape[axis]!, 0),
    );
  },
  Conv: (node) => windows(node, node.inputs[1]![0]!, node.inputs[1]!.slice(2)),
  ConvTranspose: convTranspose,
  Expand: ({ inputs: [x], integers: [, target] }) => broadcastShapes(x!, target!),
  Gather: ({ inputs: [x, indices], attributes }) => x!.toSpliced(attributes.int('axis', 0), 1, ...indices!),
  Gemm: ({ inputs: [a, b], attributes }) => [
    a![attributes.int('transA', 0) ? 1 : 0]!,
    b![attributes.int('transB', 0) ? 0 : 1]!,
  ],
  GlobalAveragePool: ({ inputs: [x] }) => x!.map((dim, axis) => (axis < 2 ? dim : 1)),
  MaxPool: (node) => windows(node, node.inputs[0]![1]!, node.attributes.ints('kernel_shape')!),
  MatMul: ({ inputs: [a, b] }) => [...broadcastShapes(a!.slice(0, -2), b!.slice(0, -2)), a!.at(-2)!, b!.at(-1)!],
  OneHot: ({ inputs: [indices], integers: [, depth] }) => [...indices!, depth![0]!],
  Pad: ({ inputs: [x], integers: [, amounts] }) =>
    x!.map((dim, axis) => dim + amounts![axis]! + amounts![axis + x!.length]!),
  ReorderInput: ({ inputs: [x], block }) => x!.with(1, Math.ceil(x![1]! / block) * block),
  ReorderOutput: ({ inputs: [x], attributes }) => {
    const [batch, , ...sides] = x!;
    const channels = attributes.int('channels', 0);
    return attributes.int('channels_last', 0) ? [batch!, ...sides, channels] : [batch!, channels, ...sides];
  },
  Reshape: reshape,
  Size: () => [],
  Slice: slice,
  Transpose: ({ inputs: [x], attributes }) => attributes.ints('perm')!.map((axis) => x![axis]!),
};

/** Integers that nodes compute: targets of reshapes that wait for something. */
const integerRules: Readonly<Record<string, (node: NodeContext) => readonly number[] | undefined>> = {
  Size: ({ inputs: [x] }) => [elementCount(x!)],
  Add: (node) => elementwise(node, (a, b) => a + b),
  Mul: (node) => elementwise(node, (a, b) => a * b),
};

/** Of equally many, or of one with many. */
function elementwise(
  { integers: [a, b] }: NodeContext,
  apply: (a: number, b: number) => number,
): readonly number[] | undefined {
  if (!a || !b) return undefined;
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_, i) => apply(a[i % a.length]!, b[i % b.length]!));
}

function broadcastShapes(a: KnownShape, b: KnownShape): KnownShape {
  const rank = Math.max(a.length, b.length);
  const at = (shape: KnownShape, axis: number): number => shape[axis - rank + shape.length] ?? 1;
  return Array.from({ length: rank }, (_, axis) => {
    const [x, y] = [at(a, axis), at(b, axis)];
    // A length above 1 tells what an unknown one must be.
    return x === 1 || (Number.isNaN(x) && y > 1) ? y : x;
  });
}
