/** Random uses of one operator, for tests that hold for every operator. */
import fc from 'fast-check';
import { Graph, type OpAttributes, type OpName, type Value } from '../../src/graph/index.js';
import { Random } from '../../src/random.js';
import { count } from '../reference/tensor.js';

/** What one operator is applied to. Printable, so that a failing case can be read. */
export interface OperatorCase<Attributes> {
  readonly attributes: Attributes;
  readonly inputs: readonly CaseInput[];
  /** The operands, where they are not the inputs themselves but follow from them. */
  readonly operands?: (inputs: readonly Value[]) => readonly Value[];
}

export interface CaseInput {
  readonly shape: readonly number[];
  readonly values: ValueRange;
  /** True for what is data or a parameter held fixed: its gradient is not asked for. */
  readonly fixed?: boolean;
}

/**
 * signed: -2 … 2. positive: 0.5 … 2. nonzero: either sign of that. fraction: 0 … 1. rectified: max(signed, 0).
 * labels: integers under a number of classes, int64.
 */
export type ValueRange = 'signed' | 'positive' | 'nonzero' | 'fraction' | 'rectified' | { readonly labels: number };

export type CasesFor<Ops> = { readonly [O in keyof Ops & OpName]: fc.Arbitrary<OperatorCase<OpAttributes[O]>> };

export const signed = (shape: readonly number[]): CaseInput => ({ shape, values: 'signed' });
export const int = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
export const pair = (min: number, max: number): fc.Arbitrary<[number, number]> =>
  fc.tuple(int(min, max), int(min, max));
export const shapeOf = (minRank: number, maxRank: number): fc.Arbitrary<number[]> =>
  fc.array(int(1, 4), { minLength: minRank, maxLength: maxRank });

/** A case as a graph with values for its inputs. */
export interface BuiltCase {
  readonly graph: Graph;
  readonly inputs: readonly Value[];
  /** Those of the inputs whose gradient may be asked for. */
  readonly variables: readonly Value[];
  readonly outputs: readonly Value[];
  readonly feeds: Map<string, Float64Array | BigInt64Array>;
}

/** @param seed of the values. Every value is a float32 number, so that both precisions start from the same. */
export function build<O extends OpName>(
  op: O,
  { attributes, inputs, operands }: OperatorCase<OpAttributes[O]>,
  seed: number,
): BuiltCase {
  const graph = new Graph('case');
  const feeds = new Map<string, Float64Array | BigInt64Array>();
  const random = new Random(seed, 'operator case');
  const values = inputs.map(({ shape, values: range }, i) => {
    feeds.set(`x${i}`, draw(range, count(shape), random));
    return graph.input(`x${i}`, typeof range === 'object' ? 'int64' : 'float32', shape);
  });
  const outputs = graph.apply(op, operands?.(values) ?? values, attributes);
  return { graph, inputs: values, variables: values.filter((_, i) => !inputs[i]!.fixed), outputs, feeds };
}

export function draw(range: ValueRange, length: number, random: Random): Float64Array | BigInt64Array {
  if (typeof range === 'object') return BigInt64Array.from({ length }, () => BigInt(random.int(range.labels)));
  return Float64Array.from({ length }, () => Math.fround(number(range, random)));
}

function number(range: Exclude<ValueRange, object>, random: Random): number {
  const uniform = random.uniform();
  switch (range) {
    case 'signed':
      return 4 * uniform - 2;
    case 'positive':
      return 0.5 + 1.5 * uniform;
    case 'nonzero':
      return (0.5 + 1.5 * uniform) * (random.int(2) === 0 ? 1 : -1);
    case 'fraction':
      return uniform;
    case 'rectified':
      return Math.max(0, 4 * uniform - 2);
  }
}
