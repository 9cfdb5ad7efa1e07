/**
 * A naive interpreter of graphs in float64: the meaning of every logical operator, in plain loops that share nothing
 * with the lowerings they are compared with.
 */
import type { Dim, Node, OpName, Value } from '../../src/graph/index.js';
import type { Kernel } from './kernel.js';
import { kernels } from './kernels/index.js';
import { count, type Tensor } from './tensor.js';

/**
 * The elements of `outputs`. int64 values are held as doubles.
 * @param inputs elements of every graph input that the outputs need, by name
 * @param dims lengths of the symbolic dimensions
 */
export function evaluate(
  outputs: readonly Value[],
  inputs: ReadonlyMap<string, Float64Array | BigInt64Array>,
  dims: Readonly<Record<string, number>> = {},
): Float64Array[] {
  const known = new Map<Value, Tensor>();
  const shapeOf = (value: Value): number[] => value.shape.map((dim) => lengthOf(dim, dims));

  function tensorOf(value: Value): Tensor {
    if (!known.has(value)) {
      const { source } = value;
      if (source.kind === 'node') run(source.node);
      else if (source.kind === 'constant')
        known.set(value, { shape: shapeOf(value), data: doubles(source.tensor.data) });
      else known.set(value, inputTensor(source.name, shapeOf(value), inputs));
    }
    return known.get(value)!;
  }

  function run(node: Node): void {
    const kernel = kernels[node.op] as Kernel<OpName>;
    const shapes = node.outputs.map(shapeOf);
    const results = kernel(node.inputs.map(tensorOf), node.attributes, shapes);
    node.outputs.forEach((output, i) => known.set(output, { shape: shapes[i]!, data: results[i]! }));
  }

  return outputs.map((output) => tensorOf(output).data);
}

function lengthOf(dim: Dim, dims: Readonly<Record<string, number>>): number {
  const length = typeof dim === 'number' ? dim : dims[dim];
  if (length === undefined) throw new Error(`no length given for dimension ${dim}`);
  return length;
}

function inputTensor(
  name: string,
  shape: readonly number[],
  inputs: ReadonlyMap<string, Float64Array | BigInt64Array>,
): Tensor {
  const elements = inputs.get(name);
  if (!elements) throw new Error(`no elements given for input ${name}`);
  if (elements.length !== count(shape)) throw new Error(`input ${name} has ${elements.length} elements`);
  return { shape, data: doubles(elements) };
}

const doubles = (elements: ArrayLike<number | bigint>): Float64Array => Float64Array.from(elements, Number);
