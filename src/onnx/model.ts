/** An ONNX model as plain data: the part of the format that hpff writes and reads. */
import type { DType } from '../files/tensor.js';

export interface OnnxModel {
  readonly irVersion: number;
  /** Domain ('' is ai.onnx) → version. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly producerName?: string;
  readonly producerVersion?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly graph: OnnxGraph;
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  readonly initializers: readonly OnnxTensor[];
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
  | { readonly type: 'tensor'; readonly value: OnnxTensor };

/** A dimension is a number, a symbolic name, or null (unknown). `shape` null: unknown rank. */
export interface OnnxValueInfo {
  readonly name: string;
  readonly dtype: DType | 'float64' | 'other';
  readonly shape: readonly (number | string | null)[] | null;
}

export interface OnnxTensor {
  readonly name: string;
  readonly dtype: DType | 'float64' | 'other';
  readonly shape: readonly number[];
  /** Little-endian elements. */
  readonly bytes: Uint8Array;
}
