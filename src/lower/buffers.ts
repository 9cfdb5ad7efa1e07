/**
 * When ONNX Runtime's CPU provider allocates and frees memory for the values of a graph, with its memory pattern off.
 *
 * Its planner walks over the nodes in the order in which they run. A view lies in its operand. A kernel that can write over an operand does so at the operand's
 * last use. Any other value takes the buffer of the value that died last of those of its shape, which is held from its first value to its last; but
 * for the latter two, shapes must be known before the graph runs, or be told by the same names (see `hideBatch`).
 */
import type { OnnxGraph, OnnxNode } from '../onnx/model.js';
import { convSum, nchwcDomain } from './blocked/layout.js';
import { executionOrder } from './execution-order.js';
import type { KnownShape } from './value-shapes.js';

/** What a node does to memory. A buffer has the name of the first value in it. */
export interface BufferStep {
  readonly node: OnnxNode;
  /** Allocated before the node runs. */
  readonly made: readonly string[];
  /** Freed after it has run. Those of the graph's outputs are not freed. */
  readonly freed: readonly string[];
}

/**
 * Steps of a graph in the order in which they run. Inputs and initializers have no buffers here.
 * @param shapes of all values, as far as ONNX Runtime infers them: NaN stands for what it does not know
 */
export function bufferSteps(graph: OnnxGraph, shapes: ReadonlyMap<string, KnownShape>): BufferStep[] {
  return new BufferPlanner(graph, shapes).plan();
}

/** Operators whose result is a view of their first operand. */
const views = new Set(['Reshape', 'Identity', 'Squeeze', 'Unsqueeze', 'Flatten']);

/** Operators whose kernels can write over an operand: which. */
const overwriting: Readonly<Record<string, number>> = {
  Clip: 0,
  HardSigmoid: 0,
  Relu: 0,
  Sigmoid: 0,
  Tanh: 0,
  [`${nchwcDomain}.Conv`]: convSum,
};

class BufferPlanner {
  private readonly nodes: readonly OnnxNode[];
  private readonly outputs: ReadonlySet<string>;
  /** How often each value is read; leaving the graph counts once. */
  private readonly uses = new Map<string, number>();
  /** The buffer of each value; null for what is not allocated for the graph. */
  private readonly buffers = new Map<string, string | null>();
  /** Uses to come of all values in a buffer that are there already. */
  private readonly remaining = new Map<string, number>();
  /** Buffers that nothing uses and whose shape is known, by it; the latest last. */
  private readonly idle = new Map<string, string[]>();
  /** Index of the node after which nothing uses a buffer, so far. */
  private readonly idleSince = new Map<string, number>();
  /** What the graph itself tells of shapes that are not known. */
  private readonly told: ReadonlyMap<string, string>;

  constructor(
    graph: OnnxGraph,
    private readonly shapes: ReadonlyMap<string, KnownShape>,
  ) {
    this.nodes = executionOrder(graph.nodes);
    this.outputs = new Set(graph.outputs.map(({ name }) => name));
    this.told = new Map(graph.valueInfos?.map(({ name, shape }) => [name, shape!.join()]));
    for (const { name } of [...graph.inputs, ...graph.initializers]) this.buffers.set(name, null);
    const read = this.nodes.flatMap(({ inputs }) => inputs);
    for (const value of [...read, ...this.outputs]) this.uses.set(value, (this.uses.get(value) ?? 0) + 1);
  }

  plan(): BufferStep[] {
    const made = this.nodes.map((node, index) => {
      const own = node.outputs.filter((output) => !this.isPlaced(node, output));
      for (const input of node.inputs) this.release(this.buffers.get(input), 1, index);
      // What nothing reads dies at once.
      for (const output of node.outputs) this.release(this.buffers.get(output), 0, index);
      return own;
    });
    const freed = this.nodes.map((): string[] => []);
    for (const [buffer, index] of this.idleSince) freed[index]!.push(buffer);
    return this.nodes.map((node, index) => ({ node, made: made[index]!, freed: freed[index]! }));
  }

  /** Gives a value its buffer. @returns whether that is there already */
  private isPlaced(node: OnnxNode, value: string): boolean {
    // What leaves the graph has memory of its own, views included.
    const found = this.outputs.has(value) ? undefined : this.existing(node, value);
    const buffer = found === undefined ? value : found;
    this.buffers.set(value, buffer);
    if (buffer !== null) {
      this.remaining.set(buffer, (this.remaining.get(buffer) ?? 0) + (this.uses.get(value) ?? 0));
      this.idleSince.delete(buffer);
    }
    return found !== undefined;
  }

  private existing(node: OnnxNode, value: string): string | null | undefined {
    if (views.has(node.opType)) return this.buffers.get(node.inputs[0]!);
    return this.overwritten(node, value) ?? this.reused(value);
  }

  private overwritten({ domain, opType, inputs }: OnnxNode, value: string): string | undefined {
    const operand = inputs[overwriting[domain === '' ? opType : `${domain}.${opType}`] ?? -1];
    const buffer = operand === undefined ? null : this.buffers.get(operand);
    if (!buffer || this.remaining.get(buffer) !== 1) return undefined;
    const shape = this.shapeOf(value);
    return shape !== null && shape === this.shapeOf(operand!) ? buffer : undefined;
  }

  private reused(value: string): string | undefined {
    const shape = this.shapeOf(value);
    return shape === null ? undefined : this.idle.get(shape)?.pop();
  }

  /** As a text; null where it is not known, or has no dimension. */
  private shapeOf(value: string): string | null {
    const shape = this.shapes.get(value)!;
    if (shape.some(Number.isNaN)) return this.told.get(value) ?? null;
    return shape.length === 0 ? null : shape.join();
  }

  /** Counts uses down; a buffer without any is idle from then on. */
  private release(buffer: string | null | undefined, uses: number, index: number): void {
    if (!buffer || this.outputs.has(buffer) || this.idleSince.has(buffer)) return;
    const left = this.remaining.get(buffer)! - uses;
    this.remaining.set(buffer, left);
    if (left > 0) return;
    this.idleSince.set(buffer, index);
    const shape = this.shapeOf(buffer);
    if (shape === null) return;
    const known = this.idle.get(shape);
    if (known) known.push(buffer);
    else this.idle.set(shape, [buffer]);
  }
}
