/**
 * Hides the batch dimension from ONNX Runtime's memory planner.
 *
 * The planner gives a value the buffer of any dead one whose shape it knows to be the same, and holds that buffer from the first of its values to the last.
 * Maps of one size are made and die all over a training step, so memory would be held through most of it that nothing is in. With
 * a dimension that is neither a number nor a name, each value is allocated when it is made and freed after its last reader.
 *
 * But for sums that convolutions add to: those and the result are given a name of their own for the batch. The kernel writes its result over the sum if it
 * knows their sizes to be equal and nobody else reads the sum, and copies it first otherwise.
 */
import type { OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from '../onnx/model.js';
import { convSum, nchwcDomain } from './blocked/layout.js';
import { int64s, int64Bytes } from './int64.js';
import { type KnownShape, valueShapes } from './value-shapes.js';

/**
 * @param batched inputs and outputs of the model whose first dimension is to be hidden
 * @param block channels in a block of the blocked layout
 * @returns a model that computes the same
 */
export function hideBatch(model: OnnxModel, batched: ReadonlySet<string>, block: number): OnnxModel {
  const { graph } = model;
  const hide = (info: OnnxValueInfo): OnnxValueInfo =>
    batched.has(info.name) && info.shape
      ? { ...info, shape: info.shape.map((dim, i) => (i === 0 ? null : dim)) }
      : info;
  const shapes = shapesIfNeeded(model, block);
  const opener = new TargetOpener(model, shapes);
  const nodes = graph.nodes.map((node) => opener.open(node));
  return {
    ...model,
    graph: {
      ...graph,
      nodes,
      inputs: graph.inputs.map(hide),
      outputs: graph.outputs.map(hide),
      initializers: opener.initializers(nodes),
      valueInfos: sumsOfConvolutions(model, shapes),
    },
  };
}

const addsToSum = ({ domain, opType, inputs }: OnnxNode): boolean =>
  domain === nchwcDomain && opType === 'Conv' && inputs.length > convSum;

/** Only expansions and sums need shapes. */
function shapesIfNeeded(model: OnnxModel, block: number): ReadonlyMap<string, KnownShape> {
  const { graph } = model;
  const needed = graph.nodes.some((node) => node.opType === 'Expand' || addsToSum(node));
  return needed ? valueShapes(graph, block) : new Map();
}

/** Sums and the results that may be written over them, with one name for the batch of both, which no others have. */
function sumsOfConvolutions({ graph }: OnnxModel, shapes: ReadonlyMap<string, KnownShape>): OnnxValueInfo[] {
  const outer = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name));
  const batches = new Map<string, string>();
  for (const { inputs, outputs } of graph.nodes.filter(addsToSum)) {
    const [sum, result] = [inputs[convSum]!, outputs[0]!];
    if (outer.has(sum) || outer.has(result)) continue;
    const batch = batches.get(sum) ?? `batch of ${sum}`;
    batches.set(sum, batch).set(result, batch);
  }
  return Array.from(batches, ([name, batch]) => {
    return { name, dtype: 'float32', shape: [batch, ...shapes.get(name)!.slice(1)] };
  });
}

/** Takes from the constants that say what shape a result shall have what is known without them. */
class TargetOpener {
  private readonly constants: Map<string, OnnxTensor>;

  constructor(
    { graph }: OnnxModel,
    private readonly shapes: ReadonlyMap<string, KnownShape>,
  ) {
    this.constants = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  }

  open(node: OnnxNode): OnnxNode {
    if (node.opType === 'Reshape') return this.withTarget(node, openReshape);
    if (node.opType !== 'Expand') return node;
    const operand = this.shapes.get(node.inputs[0]!)!;
    return this.withTarget(node, (target) => openExpand(target, operand));
  }

  /** The constants that the nodes read. */
  initializers(nodes: readonly OnnxNode[]): OnnxTensor[] {
    const read = new Set(nodes.flatMap(({ inputs }) => inputs));
    return [...this.constants.values()].filter(({ name }) => read.has(name));
  }

  private withTarget(node: OnnxNode, change: (target: readonly number[]) => readonly number[]): OnnxNode {
    const [operand, name] = node.inputs as [string, string];
    const constant = this.constants.get(name);
    if (!constant) return node;
    const target = int64s(constant);
    const opened = change(target);
    if (opened === target) return node;
    return { ...node, inputs: [operand, this.constant(opened)] };
  }

  private constant(values: readonly number[]): string {
    const name = `shape/${values.join('x')}`;
    if (!this.constants.has(name)) {
      this.constants.set(name, { name, dtype: 'int64', shape: [values.length], bytes: int64Bytes(values) });
    }
    return name;
  }
}

/**
 * One dimension is left to be inferred: the largest. What is known of a result again comes from sums over what is not, and such sums run over
 * what is large; and from convolutions and reorders, which know how many channels they give, so it is none of a map's channels.
 */
function openReshape(target: readonly number[]): readonly number[] {
  if (target.length === 0 || target.some((dim) => dim <= 0)) return target;
  const candidates = target.map((dim, axis) => (target.length === 4 && axis === 1 ? 0 : dim));
  return target.with(candidates.indexOf(Math.max(...candidates)), -1);
}

/** A 1 leaves the operand's dimension as it is. */
function openExpand(target: readonly number[], operand: KnownShape): readonly number[] {
  const offset = target.length - operand.length;
  return target.map((dim, axis) => (operand[axis - offset] === dim ? 1 : dim));
}
