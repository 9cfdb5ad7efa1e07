/** Operators that work element by element, with NumPy broadcasting where they take two values. */
import type { OpAttributes, ShapeRule } from '../operators.js';
import type { Value } from '../graph.js';
import { broadcastShapes, sameShape } from '../types.js';
import { expectFloat32 } from './arity.js';

type NoAttributes = Record<string, never>;

export interface ElementwiseOps {
  Add: NoAttributes;
  Sub: NoAttributes;
  Mul: NoAttributes;
  Div: NoAttributes;
  Neg: NoAttributes;
  Sqrt: NoAttributes;
  Exp: NoAttributes;
  Log: NoAttributes;
  Reciprocal: NoAttributes;
  Relu: NoAttributes;
  /** (cotangent, y = relu(x)) → cotangent where y > 0, else 0. */
  ReluGrad: NoAttributes;
  Sigmoid: NoAttributes;
}

type BinaryOp = 'Add' | 'Sub' | 'Mul' | 'Div';
type UnaryOp = 'Neg' | 'Sqrt' | 'Exp' | 'Log' | 'Reciprocal' | 'Relu' | 'Sigmoid';

const binaryRule: ShapeRule<BinaryOp> = (inputs, _attributes, fail) => {
  const [a, b] = inputs;
  if (inputs.length !== 2 || !a || !b) throw fail(`takes 2 inputs, found ${inputs.length}`);
  if (a.dtype !== b.dtype) throw fail('element types differ');
  const shape = broadcastShapes(a.shape, b.shape);
  if (!shape) throw fail('shapes do not broadcast');
  return [{ dtype: a.dtype, shape }];
};

const unaryRule: ShapeRule<UnaryOp> = (inputs, _attributes, fail) => {
  const [x] = inputs;
  if (inputs.length !== 1 || !x) throw fail(`takes 1 input, found ${inputs.length}`);
  expectFloat32(inputs, fail);
  return [{ dtype: x.dtype, shape: x.shape }];
};

const reluGradRule: ShapeRule<'ReluGrad'> = (inputs, _attributes, fail) => {
  const [cotangent, y] = inputs;
  if (inputs.length !== 2 || !cotangent || !y) throw fail(`takes 2 inputs, found ${inputs.length}`);
  expectFloat32(inputs, fail);
  if (!sameShape(cotangent.shape, y.shape)) throw fail('shapes differ');
  return [{ dtype: y.dtype, shape: y.shape }];
};

export const elementwiseShapes = {
  Add: binaryRule,
  Sub: binaryRule,
  Mul: binaryRule,
  Div: binaryRule,
  Neg: unaryRule,
  Sqrt: unaryRule,
  Exp: unaryRule,
  Log: unaryRule,
  Reciprocal: unaryRule,
  Relu: unaryRule,
  Sigmoid: unaryRule,
  ReluGrad: reluGradRule,
} satisfies { [O in keyof ElementwiseOps]: ShapeRule<O> };

const none: OpAttributes['Add'] = {};

/** A number stands for a scalar constant. */
type Operand = Value | number;

/** At least one operand is a value: it knows the graph. */
interface Binary {
  (a: Value, b: Operand): Value;
  (a: number, b: Value): Value;
}

function binary(op: BinaryOp): Binary {
  return (a: Operand, b: Operand): Value => {
    const { graph } = (typeof a === 'number' ? b : a) as Value;
    const left = typeof a === 'number' ? graph.scalar(a) : a;
    const right = typeof b === 'number' ? graph.scalar(b) : b;
    return graph.apply(op, [left, right], none)[0]!;
  };
}

const unary = (op: UnaryOp, x: Value): Value => x.graph.apply(op, [x], none)[0]!;

export const add = binary('Add');
export const sub = binary('Sub');
export const mul = binary('Mul');
export const div = binary('Div');
export const neg = (x: Value): Value => unary('Neg', x);
export const sqrt = (x: Value): Value => unary('Sqrt', x);
export const exp = (x: Value): Value => unary('Exp', x);
export const log = (x: Value): Value => unary('Log', x);
export const reciprocal = (x: Value): Value => unary('Reciprocal', x);
/** max(x, 0). */
export const relu = (x: Value): Value => unary('Relu', x);
/** 1 / (1 + e^-x). */
export const sigmoid = (x: Value): Value => unary('Sigmoid', x);
export const reluGrad = (cotangent: Value, y: Value): Value => y.graph.apply('ReluGrad', [cotangent, y], none)[0]!;

/** Sum of one or more values, left to right. */
export function addAll(values: readonly Value[]): Value {
  return values.reduce((sum, value) => add(sum, value));
}
