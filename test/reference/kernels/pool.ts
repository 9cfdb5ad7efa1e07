/** Reference kernels of pooling and resizing: but for maxima, a linear map as a list of (input, output, weight), and its transpose. */
import type { MaxPoolAttributes, PoolOps } from '../../../src/graph/ops/pool.js';
import type { KernelsFor } from '../kernel.js';
import { count, indicesOf, offset, tabulate, type Tensor } from '../tensor.js';

type Size = readonly [number, number];

/** Output pixel `to` receives `weight` times input pixel `from`. */
interface Term {
  readonly from: Size;
  readonly to: Size;
  readonly weight: number;
}

export const poolKernels: KernelsFor<PoolOps> = {
  AveragePool: ([x], { kernel, strides }, [shape]) => [apply(windows(sizeOf(shape!), kernel, strides), x!, shape!)],
  AveragePoolGrad: ([dy], { kernel, strides }, [shape]) => [
    apply(transposed(windows(sizeOf(dy!.shape), kernel, strides)), dy!, shape!),
  ],
  MaxPool: ([x], attributes, [shape]) => [tabulate(shape!, (index) => x!.data[maximum(x!, index, attributes)]!)],
  MaxPoolGrad: ([dy, x], attributes, [shape]) => {
    const dx = new Float64Array(count(shape!));
    let at = 0;
    for (const index of indicesOf(dy!.shape)) dx[maximum(x!, index, attributes)]! += dy!.data[at++]!;
    return [dx];
  },
  GlobalAveragePool: ([x], _attributes, [shape]) => {
    const [height, width] = sizeOf(x!.shape);
    return [apply(windows([1, 1], [height, width], [1, 1]), x!, [...shape!, 1, 1])];
  },
  GlobalAveragePoolGrad: ([dy], { inputSize }, [shape]) => [
    apply(transposed(windows([1, 1], inputSize, [1, 1])), { ...dy!, shape: [...dy!.shape, 1, 1] }, shape!),
  ],
  ResizeBilinear: ([x], { size }, [shape]) => [apply(interpolation(sizeOf(x!.shape), size), x!, shape!)],
  ResizeBilinearGrad: ([dy], { inputSize }, [shape]) => [
    apply(transposed(interpolation(inputSize, sizeOf(dy!.shape))), dy!, shape!),
  ],
};

const sizeOf = (shape: readonly number[]): Size => [shape[2]!, shape[3]!];

/** Where the first of the largest elements of an output's window lies. */
function maximum(x: Tensor, [n, c, oh, ow]: readonly number[], { kernel, strides, pads }: MaxPoolAttributes): number {
  let best = -1;
  for (let r = 0; r < kernel[0]; r++)
    for (let s = 0; s < kernel[1]; s++) {
      const [row, column] = [oh! * strides[0] + r - pads[0], ow! * strides[1] + s - pads[1]];
      if (row < 0 || column < 0 || row >= x.shape[2]! || column >= x.shape[3]!) continue;
      const at = offset(x.shape, [n!, c!, row, column]);
      if (best < 0 || x.data[at]! > x.data[best]!) best = at;
    }
  return best;
}

/** Applies a linear map of pixels to every image and channel. */
function apply(terms: readonly Term[], x: Tensor, shape: readonly number[]): Float64Array {
  const y = new Float64Array(count(shape));
  for (let n = 0; n < shape[0]!; n++)
    for (let c = 0; c < shape[1]!; c++)
      for (const { from, to, weight } of terms) {
        y[offset(shape, [n, c, ...to])]! += weight * x.data[offset(x.shape, [n, c, ...from])]!;
      }
  return y;
}

const transposed = (terms: readonly Term[]): Term[] =>
  terms.map(({ from, to, weight }) => ({ from: to, to: from, weight }));

/** Each output pixel is the mean of a window. */
function windows([height, width]: Size, kernel: Size, strides: Size): Term[] {
  const terms: Term[] = [];
  for (let oh = 0; oh < height; oh++)
    for (let ow = 0; ow < width; ow++)
      for (let r = 0; r < kernel[0]; r++)
        for (let s = 0; s < kernel[1]; s++) {
          const from = [oh * strides[0] + r, ow * strides[1] + s] as const;
          terms.push({ from, to: [oh, ow], weight: 1 / (kernel[0] * kernel[1]) });
        }
  return terms;
}

/** Each output pixel lies between four input pixels; the corners of input and output coincide. */
function interpolation(input: Size, output: Size): Term[] {
  const terms: Term[] = [];
  for (let oh = 0; oh < output[0]; oh++)
    for (let ow = 0; ow < output[1]; ow++)
      for (const row of neighbours(oh, input[0], output[0]))
        for (const column of neighbours(ow, input[1], output[1])) {
          terms.push({ from: [row.at, column.at], to: [oh, ow], weight: row.weight * column.weight });
        }
  return terms;
}

function neighbours(i: number, input: number, output: number): { at: number; weight: number }[] {
  const position = output === 1 ? 0 : (i * (input - 1)) / (output - 1);
  const low = Math.floor(position);
  const fraction = position - low;
  // At the last pixel there is no neighbour, and none is needed.
  return fraction === 0
    ? [{ at: low, weight: 1 }]
    : [
        { at: low, weight: 1 - fraction },
        { at: low + 1, weight: fraction },
      ];
}
