/** An ONNX model as plain data: the part of the format that hpff writes and reads. */
import type { DType } from '../files/tensor.js';

/** Element types as hpff names them; 'other' is any further one of ONNX, told by its `elementType` code. */
export type OnnxElementType = DType | 'float64' | 'other';

export interface OnnxModel {
  readonly irVersion: number;
  /** Domain ('' is ai.onnx) → version. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly producerName?: string;
  readonly producerVersion?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly graph: OnnxGraph;
  /** Parts of the file it was read from that these types do not hold, e.g. 'functions'; such a model cannot be written. */
  readonly notCarried?: readonly string[];
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  readonly initializers: readonly OnnxTensor[];
  /** Types of values inside the graph, where the file gives them. */
  readonly valueInfos?: readonly OnnxValueInfo[];
}

export interface OnnxNode {
  readonly name: string;
  readonly domain: string;
  readonly opType: string;
  /** '' stands for an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

export type OnnxAttribute =
  | { readonly type: 'int'; readonly value: number }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'ints'; readonly value: readonly number[] }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'tensor'; readonly value: OnnxTensor }
  | { readonly type: 'graph'; readonly value: OnnxGraph }
  /** An attribute that was read but is not carried, e.g. a list of graphs; it cannot be written. */
  | { readonly type: 'other'; readonly kind: string };

/** A dimension is a number, a symbolic name, or null (unknown). `shape` null: unknown rank. */
export interface OnnxValueInfo {
  readonly name: string;
  readonly dtype: OnnxElementType;
  readonly shape: readonly (number | string | null)[] | null;
  /** The code in ONNX's TensorProto.DataType; needed where `dtype` is 'other'. 0: the file gives no type. */
  readonly elementType?: number;
  /** Absent for a tensor. 'sequence': the value is a sequence of such tensors. 'other': a map, an optional, …; not carried. */
  readonly container?: 'sequence' | 'other';
}

export interface OnnxTensor {
  readonly name: string;
  readonly dtype: OnnxElementType;
  readonly shape: readonly number[];
  /** The code in ONNX's TensorProto.DataType; needed where `dtype` is 'other'. */
  readonly elementType?: number;
  /** Little-endian elements. */
  readonly bytes: Uint8Array;
}
