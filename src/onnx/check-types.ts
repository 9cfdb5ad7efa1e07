/** Checks of tensors and of declared types. */
import { elementCount } from '../files/tensor.js';
import { byteLength, codeOf, elementTypeOf } from './element-types.js';
import type { OnnxElementType, OnnxTensor, OnnxValueInfo } from './model.js';
import { quoteShape } from './quote.js';

/** What is wrong with a tensor's type, shape or data; undefined if nothing is. */
export function tensorProblem(tensor: OnnxTensor): string | undefined {
  const code = elementCode(tensor);
  if (code === undefined || elementTypeOf(code) === undefined) return 'has no known element type';
  const dims = dimensionsProblem(tensor.shape);
  if (dims !== undefined) return dims;
  const needed = byteLength(code, elementCount(tensor.shape));
  if (needed === undefined) return 'holds strings, which have no bytes';
  if (tensor.bytes.length === needed) return undefined;
  return `has ${tensor.bytes.length} bytes of data, its shape ${quoteShape(tensor.shape)} needs ${needed}`;
}

/** What is wrong with dimensions; undefined if nothing is. */
export function dimensionsProblem(shape: readonly (number | string | null)[]): string | undefined {
  const bad = shape.find((dim) => (typeof dim === 'number' ? !Number.isSafeInteger(dim) || dim < 0 : dim === ''));
  if (bad !== undefined) {
    return `has dimension ${bad === '' ? "''" : bad} in ${quoteShape(shape)}, must be a whole number from 0 or a name`;
  }
  const sizes = shape.filter((dim) => typeof dim === 'number' && dim !== 0) as number[];
  if (!Number.isSafeInteger(elementCount(sizes))) return `has a shape ${quoteShape(shape)} of more than 2^53 elements`;
  return undefined;
}

/** Whether an element type is given. */
export function isTyped(value: OnnxValueInfo): boolean {
  return elementCode(value) !== 0 && elementCode(value) !== undefined;
}

/** How two declarations of one value contradict each other; undefined if they can both be true. */
export function contradiction(a: OnnxValueInfo, b: OnnxValueInfo): string | undefined {
  if (!isTyped(a) || !isTyped(b)) return undefined;
  if (elementCode(a) !== elementCode(b)) return `${typeName(a)} and ${typeName(b)}`;
  if (a.container !== b.container) return `${a.container ?? 'tensor'} and ${b.container ?? 'tensor'}`;
  if (a.shape === null || b.shape === null) return undefined;
  const other = b.shape;
  const same =
    a.shape.length === other.length && a.shape.every((dim, axis) => mayBeEqual(dim, other[axis] as typeof dim));
  return same ? undefined : `${quoteShape(a.shape)} and ${quoteShape(other)}`;
}

/** Only two numbers can contradict each other: what a name stands for is known when the graph runs. */
function mayBeEqual(a: number | string | null, b: number | string | null): boolean {
  return typeof a !== 'number' || typeof b !== 'number' || a === b;
}

interface Typed {
  readonly name: string;
  readonly dtype: OnnxElementType;
  readonly elementType?: number;
}

function elementCode(typed: Typed): number | undefined {
  return typed.dtype === 'other' ? typed.elementType : codeOf(typed);
}

function typeName(typed: Typed): string {
  const code = elementCode(typed);
  return (code === undefined ? undefined : elementTypeOf(code)?.name) ?? `type ${code}`;
}
