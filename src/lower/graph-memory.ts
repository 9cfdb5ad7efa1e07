/** How much memory a graph takes while it runs, from the lifetimes of its values. */
import { elementCount } from '../files/tensor.js';
import type { OnnxGraph } from '../onnx/model.js';
import { bufferSteps } from './buffers.js';
import type { KnownShape } from './value-shapes.js';

export interface GraphMemory {
  /** The most that the values it makes take at once. What it reads, and what kernels hold while they run, are not counted. */
  readonly peakBytes: number;
  /** Name of the node that runs then. */
  readonly peakNode: string;
}

/**
 * @param shapes of all values
 * @param known the same as far as ONNX Runtime infers them (`valueShapes` without shapes of inputs)
 * @param elsewhere outputs that are written into memory that exists already
 */
export function graphMemory(
  graph: OnnxGraph,
  shapes: ReadonlyMap<string, KnownShape>,
  known: ReadonlyMap<string, KnownShape>,
  elsewhere: ReadonlySet<string>,
): GraphMemory {
  const sizeOf = (value: string): number => (elsewhere.has(value) ? 0 : bufferBytes(shapes.get(value)!));
  const total = (values: readonly string[]): number => values.reduce((sum, value) => sum + sizeOf(value), 0);
  let alive = 0;
  let peak: GraphMemory = { peakBytes: 0, peakNode: '' };
  for (const { node, made, freed } of bufferSteps(graph, known)) {
    alive += total(made);
    if (alive > peak.peakBytes) peak = { peakBytes: alive, peakNode: node.name };
    alive -= total(freed);
  }
  return peak;
}

/** The arena gives multiples of this many bytes. */
const ALLOCATION_UNIT = 256;

/** Bytes that a float32 tensor takes; lowered graphs have no other large ones. */
export function bufferBytes(shape: readonly number[]): number {
  return ALLOCATION_UNIT * Math.ceil((4 * elementCount(shape)) / ALLOCATION_UNIT);
}
