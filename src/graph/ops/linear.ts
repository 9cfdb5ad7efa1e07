/** Matrix products. */
import type { Value } from '../graph.js';
import type { ShapeRule } from '../operators.js';
import { broadcastShapes, float32Type, type Shape } from '../types.js';
import { expectFloat32 } from './arity.js';
import { add } from './elementwise.js';

export interface LinearOps {
  /** Product of the last two axes, each operand transposed there if asked; leading axes broadcast. */
  MatMul: { readonly transA: boolean; readonly transB: boolean };
}

const matrixOf = (shape: Shape, transposed: boolean): Shape => {
  const [rows, columns] = shape.slice(-2);
  return transposed ? [columns!, rows!] : [rows!, columns!];
};

export const linearShapes = {
  MatMul: (inputs, { transA, transB }, fail) => {
    const [a, b] = inputs;
    if (inputs.length !== 2 || !a || !b) throw fail(`takes 2 inputs, found ${inputs.length}`);
    expectFloat32(inputs, fail);
    if (a.shape.length < 2 || b.shape.length < 2) throw fail('operands need at least 2 axes');
    const [m, k] = matrixOf(a.shape, transA);
    const [k2, n] = matrixOf(b.shape, transB);
    if (k !== k2) throw fail(`inner dimensions differ: ${k} and ${k2}`);
    const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
    if (!batch) throw fail('leading axes do not broadcast');
    return [float32Type([...batch, m!, n!])];
  },
} satisfies { [O in keyof LinearOps]: ShapeRule<O> };

export function matmul(a: Value, b: Value, { transA = false, transB = false } = {}): Value {
  return a.graph.apply('MatMul', [a, b], { transA, transB })[0]!;
}

/** x·weightᵀ + bias. @param x [N, in] @param weight [out, in] @param bias [out] @returns [N, out] */
export function linear(x: Value, weight: Value, bias: Value): Value {
  return add(matmul(x, weight, { transB: true }), bias);
}
