/** Reference kernels of elementwise operators. */
import type { ElementwiseOps } from '../../../src/graph/ops/elementwise.js';
import type { KernelsFor } from '../kernel.js';
import { broadcastAt, tabulate, type Tensor } from '../tensor.js';

type Run = (inputs: readonly Tensor[], attributes: unknown, shapes: readonly (readonly number[])[]) => Float64Array[];

const unary =
  (f: (x: number) => number): Run =>
  ([x]) => [x!.data.map(f)];

const binary =
  (f: (a: number, b: number) => number): Run =>
  ([a, b], _attributes, [shape]) => [tabulate(shape!, (index) => f(broadcastAt(a!, index), broadcastAt(b!, index)))];

export const elementwiseKernels: KernelsFor<ElementwiseOps> = {
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b) => a / b),
  Neg: unary((x) => -x),
  Sqrt: unary(Math.sqrt),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Reciprocal: unary((x) => 1 / x),
  Relu: unary((x) => Math.max(x, 0)),
  ReluGrad: binary((cotangent, y) => (y > 0 ? cotangent : 0)),
  Sigmoid: unary((x) => 1 / (1 + Math.exp(-x))),
};
