/**
 * The graph that everything is built in: immutable typed values that point at the node that makes them.
 *
 * Operators are *logical*: they say what is meant (`ConvWeightGrad`), not how a device computes it; `lower/` decides
 * that. Shapes are inferred when a node is added, so a mistake is reported at the line that makes it.
 */
import { UsageError } from '../errors.js';
import { elementCount, type HostTensor } from '../files/tensor.js';
import type { OpAttributes, OpName } from './operators.js';
import { shapeRules, type ShapeRule } from './operators.js';
import { formatType, type GraphDType, type Shape, type TensorType } from './types.js';

/** An edge of the graph. Immutable; compared by identity. */
export class Value implements TensorType {
  /** @internal made by Graph only */
  constructor(
    readonly graph: Graph,
    readonly id: number,
    readonly dtype: GraphDType,
    readonly shape: Shape,
    readonly source: ValueSource,
  ) {}

  /** The node that makes this value; null for inputs and constants. */
  get producer(): Node | null {
    return this.source.kind === 'node' ? this.source.node : null;
  }

  toString(): string {
    return `${this.source.kind === 'input' ? this.source.name : `%${this.id}`}: ${formatType(this)}`;
  }
}

export type ValueSource =
  | { readonly kind: 'input'; readonly name: string }
  | { readonly kind: 'constant'; readonly tensor: HostTensor }
  | { readonly kind: 'node'; readonly node: Node; readonly index: number };

/** An operator applied to values. `scope` names the layer, `section` the task of the training step it belongs to. */
export interface Node<O extends OpName = OpName> {
  readonly id: number;
  readonly op: O;
  readonly attributes: OpAttributes[O];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly scope: string;
  readonly section: string;
}

/** A growing graph of logical operators. Nodes are in topological order by construction. */
export class Graph {
  readonly nodes: Node[] = [];
  readonly inputs = new Map<string, Value>();
  private readonly scalars = new Map<number, Value>();
  /** Names of the layers around what is built, outermost first, with `/` between. */
  private scope = '';
  private section = '';
  private nextId = 0;

  constructor(readonly name: string) {}

  /** Declares a graph input. @throws UsageError where the name is taken or the shape is none */
  input(name: string, dtype: GraphDType, shape: Shape): Value {
    if (this.inputs.has(name)) {
      throw new UsageError('GRAPH_DUPLICATE_INPUT', `graph ${this.name}: input '${name}' is declared twice`);
    }
    if (!shape.every((dim) => (typeof dim === 'string' ? dim !== '' : Number.isSafeInteger(dim) && dim >= 0))) {
      throw new UsageError(
        'GRAPH_INPUT_SHAPE',
        `graph ${this.name}: input '${name}' has shape [${shape.join(', ')}]; dimensions are integers from 0 on, or names`,
      );
    }
    const value = new Value(this, this.nextId++, dtype, shape, { kind: 'input', name });
    this.inputs.set(name, value);
    return value;
  }

  /** A value that is known when the graph is built. */
  constant(tensor: HostTensor<'float32'> | HostTensor<'int64'>): Value {
    if (elementCount(tensor.shape) !== tensor.data.length) {
      throw new UsageError(
        'GRAPH_CONSTANT_SIZE',
        `graph ${this.name}: constant [${tensor.shape.join(', ')}] has ${tensor.data.length} elements, needs ${elementCount(tensor.shape)}`,
      );
    }
    return new Value(this, this.nextId++, tensor.dtype, tensor.shape, { kind: 'constant', tensor });
  }

  /** A float32 constant of shape []. */
  scalar(value: number): Value {
    let known = this.scalars.get(value);
    if (!known) {
      known = this.constant({ dtype: 'float32', shape: [], data: Float32Array.of(value) });
      this.scalars.set(value, known);
    }
    return known;
  }

  /** Adds a node and returns its outputs. @throws UsageError where the inputs do not fit the operator */
  apply<O extends OpName>(op: O, inputs: readonly Value[], attributes: OpAttributes[O]): readonly Value[] {
    for (const input of inputs) {
      if (input.graph !== this) {
        throw new UsageError(
          'GRAPH_MIXED',
          `${this.where(op)}: input ${input.toString()} belongs to graph ${input.graph.name}`,
        );
      }
    }
    const rule = shapeRules[op] as ShapeRule<O>;
    const types = rule(inputs, attributes, (problem) => this.shapeError(op, inputs, problem));
    const outputs: Value[] = [];
    const node: Node<O> = {
      id: this.nextId++,
      op,
      attributes,
      inputs,
      outputs,
      scope: this.scope,
      section: this.section,
    };
    types.forEach((type, index) =>
      outputs.push(new Value(this, this.nextId++, type.dtype, type.shape, { kind: 'node', node, index })),
    );
    this.nodes.push(node);
    return outputs;
  }

  /** Nodes added by `build` carry `name` in their scope; '' adds nothing to it. */
  scoped<T>(name: string, build: () => T): T {
    if (name === '') return build();
    const outer = this.scope;
    this.scope = outer === '' ? name : `${outer}/${name}`;
    try {
      return build();
    } finally {
      this.scope = outer;
    }
  }

  /** Nodes added by `build` belong to the task `section`. */
  within<T>(section: string, build: () => T): T {
    const outer = this.section;
    this.section = section;
    try {
      return build();
    } finally {
      this.section = outer;
    }
  }

  private where(op: OpName): string {
    return `${this.scope === '' ? this.name : `${this.name}/${this.scope}`}: ${op}`;
  }

  private shapeError(op: OpName, inputs: readonly TensorType[], problem: string): UsageError {
    const found = inputs.map(formatType).join(', ');
    return new UsageError('GRAPH_SHAPE', `${this.where(op)}(${found}): ${problem}`);
  }
}
