/**
 * The filter gradient of convolution as products of large matrices:
 *
 *   dW[o, c, r, s] = Σ n,i,j  x[n, c, i·strideY + r - top, j·strideX + s - left] · dy[n, o, i, j]
 *
 * With channels before images, a kernel row r is one product over all (n, i, j). The factor from x has a row for each kernel column s and channel
 * c; what the kernel row demands is met by shifting dy by whole rows, so the copies of x serve all kernel rows.
 *
 * Against a convolution with batch and channels swapped this takes a fifth to nine tenths of the time (a 7×7 filter with stride 2: 1.2 times), and its bits
 * do not depend on the number of threads.
 */
import { type Node, staticShape } from '../../graph/index.js';
import type { Emitter } from '../emitter.js';
import { gemm } from '../gemm.js';

interface Geometry {
  readonly batch: number;
  readonly channels: number;
  readonly out: number;
  readonly rows: Axis;
  readonly columns: Axis;
}

/** One direction of a convolution: output i, kernel tap t reads input i·stride + t - before. */
interface Axis {
  readonly input: number;
  readonly output: number;
  readonly kernel: number;
  readonly stride: number;
  readonly before: number;
}

/** Whether each kernel row and column meets the input somewhere; where one sees padding only, its product would be empty. */
export function everyTapReads(node: Node<'ConvWeightGrad'>): boolean {
  const { rows, columns } = geometryOf(node);
  return [rows, columns].every((axis) => taps(axis).every((tap) => reads(axis, tap)));
}

const taps = (axis: Axis): number[] => Array.from({ length: axis.kernel }, (_, tap) => tap);

function reads({ input, output, stride, before }: Axis, tap: number): boolean {
  const first = Math.max(0, Math.ceil((before - tap) / stride));
  return first < output && first * stride + tap - before < input;
}

/** @param inputs names of the input and of the output's cotangent; one group; every tap must read @returns [O, C, kh, kw] */
export function shiftedProducts(
  emit: Emitter,
  node: Node<'ConvWeightGrad'>,
  [x, cotangent]: readonly string[],
): string {
  const geometry = geometryOf(node);
  const { channels, out, rows, columns } = geometry;
  const input = channelsFirst(emit, x!);
  const dy = channelsFirst(emit, cotangent!);
  const bands = new Map<number, string>();
  const shifted = new Map<string, string>();
  const products = taps(rows).map((tap) => {
    // Output row i reads input row stride·(i + shift) + phase: row i + shift of the band of rows of that phase.
    const shift = Math.floor((tap - rows.before) / rows.stride);
    const phase = tap - rows.before - shift * rows.stride;
    const length = Math.ceil((rows.input - phase) / rows.stride);
    const band = remembered(bands, phase, () =>
      columnTaps(emit, geometry, inputRows(emit, input, rows, phase), length),
    );
    const key = `${shift} of ${length}`;
    const right = remembered(shifted, key, () => shiftRows(emit, geometry, dy, shift, length));
    const depth = geometry.batch * length * columns.output;
    return gemm(emit, band, right, {
      rows: columns.kernel * channels,
      columns: out,
      depth,
      transA: false,
      transB: true,
    });
  });
  const [first] = products;
  const all = products.length === 1 ? first! : emit.op('Concat', products, { axis: 0 });
  const byTap = emit.op('Reshape', [all, emit.ints([rows.kernel, columns.kernel, channels, out])]);
  return emit.op('Transpose', [byTap], { perm: [3, 2, 0, 1] });
}

function geometryOf({
  inputs: [x, cotangent],
  attributes: { kernel, strides, pads },
}: Node<'ConvWeightGrad'>): Geometry {
  const [batch, channels, ...input] = staticShape(x!.shape);
  const [, out, ...output] = staticShape(cotangent!.shape);
  const axis = (i: 0 | 1): Axis => ({
    input: input[i]!,
    output: output[i]!,
    kernel: kernel[i],
    stride: strides[i],
    before: pads[i],
  });
  return { batch: batch!, channels: channels!, out: out!, rows: axis(0), columns: axis(1) };
}

function remembered<K>(known: Map<K, string>, key: K, make: () => string): string {
  const name = known.get(key) ?? make();
  known.set(key, name);
  return name;
}

const channelsFirst = (emit: Emitter, x: string): string => emit.op('Transpose', [x], { perm: [1, 0, 2, 3] });

/** Rows phase, phase + stride, … of [C, N, H, W]. */
function inputRows(emit: Emitter, x: string, { input, stride }: Axis, phase: number): string {
  if (stride === 1) return x;
  return emit.op('Slice', [x, emit.ints([phase]), emit.ints([input]), emit.ints([2]), emit.ints([stride])]);
}

/** The factor [O, N·length·Wo] of dy: moved down by `shift` rows, cut off or filled with zeros to `length` rows. */
function shiftRows(
  emit: Emitter,
  { batch, out, rows, columns }: Geometry,
  dy: string,
  shift: number,
  length: number,
): string {
  const factor = emit.ints([out, batch * length * columns.output]);
  const [before, after] = [shift * columns.output, (length - rows.output - shift) * columns.output];
  if (before === 0 && after === 0) return emit.op('Reshape', [dy, factor]);
  // With the map as one axis, whole rows are copied at once.
  const maps = emit.op('Reshape', [dy, emit.ints([out * batch, rows.output * columns.output])]);
  return emit.op('Reshape', [emit.op('Pad', [maps, emit.ints([0, before, 0, after])]), factor]);
}

/** The factor [kw·C, N·length·Wo] of a band of rows [C, N, length, W]: what each kernel column reads, one after another. */
function columnTaps(emit: Emitter, { batch, channels, columns }: Geometry, band: string, length: number): string {
  const lines = emit.op('Reshape', [band, emit.ints([channels * batch * length, columns.input])]);
  const factor = emit.ints([channels, batch * length * columns.output]);
  const read = taps(columns).map((tap) => emit.op('Reshape', [readColumns(emit, lines, columns, tap), factor]));
  return read.length === 1 ? read[0]! : emit.op('Concat', read, { axis: 0 });
}

/** Up to this many elements of a selection matrix, multiplying by it is faster than copying line by line. */
const MAX_SELECTION = 600;

/** What a kernel column reads of each line: [lines, W] → [lines, Wo], zero in the padding. */
function readColumns(emit: Emitter, lines: string, columns: Axis, tap: number): string {
  const { input, output, stride, before } = columns;
  const start = tap - before;
  if (stride === 1 && start === 0 && output === input) return lines;
  if (input * output <= MAX_SELECTION) return emit.op('MatMul', [lines, selection(emit, columns, tap)]);
  const span = (output - 1) * stride + 1;
  const padded = emit.op('Pad', [lines, emit.ints([0, -start, 0, span + start - input])]);
  if (stride === 1) return padded;
  return emit.op('Slice', [padded, emit.ints([0]), emit.ints([span]), emit.ints([1]), emit.ints([stride])]);
}

/** [W, Wo] with a 1 where the tap of an output column reads an input column. */
function selection(emit: Emitter, { input, output, stride, before }: Axis, tap: number): string {
  const matrix = new Float32Array(input * output);
  for (let i = 0; i < output; i++) {
    const column = i * stride + tap - before;
    if (column >= 0 && column < input) matrix[column * output + i] = 1;
  }
  return emit.floats(matrix, [input, output]);
}
