/** Average and maximum pooling and bilinear resizing of [N, C, H, W], with their gradients. */
import type { UsageError } from '../../errors.js';
import { averagingMatrix, kroneckerProduct } from '../constant-matrices.js';
import type { Value } from '../graph.js';
import type { ShapeRule } from '../operators.js';
import { float32Type, sameShape, staticDim, type TensorType } from '../types.js';
import { expectFloat32, expectIntegers, expectRanks, expectStatic } from './arity.js';
import { reshape } from './layout.js';
import { matmul } from './linear.js';

type Size = readonly [number, number];

export interface MaxPoolAttributes {
  readonly kernel: Size;
  /** At most the kernel. */
  readonly strides: Size;
  /** Rows and columns at top, left, bottom, right that no maximum lies in; less than the kernel. */
  readonly pads: readonly [number, number, number, number];
}

export interface PoolOps {
  /** Mean over windows, no padding. */
  AveragePool: { readonly kernel: Size; readonly strides: Size };
  /** (cotangent) → cotangent of the input, whose [H, W] is `inputSize`. */
  AveragePoolGrad: { readonly kernel: Size; readonly strides: Size; readonly inputSize: Size };
  MaxPool: MaxPoolAttributes;
  /**
   * (cotangent, x, y) → cotangent of the input x: each window's goes to its maximum, of several equal ones to the first in row-major
   * order, as in PyTorch.
   */
  MaxPoolGrad: MaxPoolAttributes;
  /** [N, C, H, W] → [N, C]. */
  GlobalAveragePool: Record<string, never>;
  GlobalAveragePoolGrad: { readonly inputSize: Size };
  /** To `size`, corners aligned: output i reads input i·(in-1)/(out-1). */
  ResizeBilinear: { readonly size: Size };
  ResizeBilinearGrad: { readonly inputSize: Size };
}

type Fail = (problem: string) => UsageError;

/** Checks a map [N, C, H, W] of floats and returns its [H, W]. */
function mapSize(map: TensorType, fail: Fail): Size {
  expectFloat32([map], fail);
  return [expectStatic(map.shape[2], 2, fail), expectStatic(map.shape[3], 3, fail)];
}

function pooledSize(input: Size, kernel: Size, strides: Size, fail: Fail): Size {
  expectIntegers('kernel', kernel, 1, fail);
  expectIntegers('strides', strides, 1, fail);
  const along = (i: 0 | 1): number => {
    if (kernel[i] > input[i]) throw fail(`window ${kernel[i]} is larger than the input ${input[i]}`);
    return Math.floor((input[i] - kernel[i]) / strides[i]) + 1;
  };
  return [along(0), along(1)];
}

function maxPooledSize(x: TensorType, { kernel, strides, pads }: MaxPoolAttributes, fail: Fail): Size {
  const [height, width] = mapSize(x, fail);
  expectIntegers('pads', pads, 0, fail);
  // Every window must meet the input, and every pixel must have its turn in the gradient's phases.
  if (pads.some((padding, side) => padding >= kernel[side % 2]!)) throw fail('padding must be less than the kernel');
  if (strides.some((stride, axis) => stride > kernel[axis]!)) throw fail('strides must be at most the kernel');
  return pooledSize([height + pads[0] + pads[2], width + pads[1] + pads[3]], kernel, strides, fail);
}

const resized = (map: TensorType, size: Size): TensorType => float32Type([...map.shape.slice(0, 2), ...size]);

export const poolShapes = {
  AveragePool: (inputs, { kernel, strides }, fail) => {
    const [x] = expectRanks(inputs, [4], fail);
    return [resized(x, pooledSize(mapSize(x, fail), kernel, strides, fail))];
  },
  AveragePoolGrad: (inputs, { kernel, strides, inputSize }, fail) => {
    const [cotangent] = expectRanks(inputs, [4], fail);
    expectIntegers('inputSize', inputSize, 1, fail);
    const size = pooledSize(inputSize, kernel, strides, fail);
    if (!sameShape(mapSize(cotangent, fail), size)) {
      throw fail(`inputSize [${inputSize.join(', ')}] gives maps of [${size.join(', ')}]`);
    }
    return [resized(cotangent, inputSize)];
  },
  MaxPool: (inputs, attributes, fail) => {
    const [x] = expectRanks(inputs, [4], fail);
    return [resized(x, maxPooledSize(x, attributes, fail))];
  },
  MaxPoolGrad: (inputs, attributes, fail) => {
    const [cotangent, x, y] = expectRanks(inputs, [4, 4, 4], fail);
    expectFloat32(inputs, fail);
    const pooled = resized(x, maxPooledSize(x, attributes, fail));
    if (!sameShape(y.shape, pooled.shape) || !sameShape(cotangent.shape, pooled.shape)) {
      throw fail(`the input gives maps of [${pooled.shape.join(', ')}]`);
    }
    return [float32Type(x.shape)];
  },
  GlobalAveragePool: (inputs, _attributes, fail) => {
    const [x] = expectRanks(inputs, [4], fail);
    mapSize(x, fail);
    return [float32Type(x.shape.slice(0, 2))];
  },
  GlobalAveragePoolGrad: (inputs, { inputSize }, fail) => {
    const [cotangent] = expectRanks(inputs, [2], fail);
    expectFloat32(inputs, fail);
    expectIntegers('inputSize', inputSize, 1, fail);
    return [resized(cotangent, inputSize)];
  },
  ResizeBilinear: (inputs, { size }, fail) => {
    const [x] = expectRanks(inputs, [4], fail);
    mapSize(x, fail);
    expectIntegers('size', size, 1, fail);
    return [resized(x, size)];
  },
  ResizeBilinearGrad: (inputs, { inputSize }, fail) => {
    const [cotangent] = expectRanks(inputs, [4], fail);
    mapSize(cotangent, fail);
    expectIntegers('inputSize', inputSize, 1, fail);
    return [resized(cotangent, inputSize)];
  },
} satisfies { [O in keyof PoolOps]: ShapeRule<O> };

const sizeOf = (x: Value): Size => [staticDim(x.shape, 2), staticDim(x.shape, 3)];

export const averagePool = (x: Value, kernel: Size, strides: Size = kernel): Value =>
  x.graph.apply('AveragePool', [x], { kernel, strides })[0]!;

/** Maximum over windows, same in both directions; what is beyond the padded edge for a last whole window is dropped. @param padding default 0 */
export function maxPool(
  x: Value,
  { kernel, stride, padding = 0 }: { readonly kernel: number; readonly stride: number; readonly padding?: number },
): Value {
  const pads = [padding, padding, padding, padding] as const;
  return x.graph.apply('MaxPool', [x], { kernel: [kernel, kernel], strides: [stride, stride], pads })[0]!;
}

export const globalAveragePool = (x: Value): Value => x.graph.apply('GlobalAveragePool', [x], {})[0]!;

/** Bilinear resize with aligned corners; the identity where the size is already right. */
export function resizeBilinear(x: Value, size: Size): Value {
  const [height, width] = sizeOf(x);
  return height === size[0] && width === size[1] ? x : x.graph.apply('ResizeBilinear', [x], { size })[0]!;
}

/**
 * Mean over `size` windows that cover the map, as PyTorch's adaptive_avg_pool2d: window i spans
 * ⌊i·in/out⌋ … ⌈(i+1)·in/out⌉; the identity where the size is already right. Uneven windows become a product with a constant matrix, or with two where that would be large.
 */
export function adaptiveAveragePool(x: Value, size: Size): Value {
  const [height, width] = sizeOf(x);
  if (height === size[0] && width === size[1]) return x;
  if (height % size[0] === 0 && width % size[1] === 0) return averagePool(x, [height / size[0], width / size[1]]);
  const rows = averagingMatrix(height, size[0]);
  const columns = averagingMatrix(width, size[1]);
  const constant = (data: Float32Array, shape: Size): Value => x.graph.constant({ dtype: 'float32', shape, data });
  const [pixels, windows] = [height * width, size[0] * size[1]];
  if (pixels > MOST_PIXELS_AT_ONCE) {
    const pooledRows = matmul(constant(rows, [size[0], height]), x);
    return matmul(pooledRows, constant(columns, [size[1], width]), { transB: true });
  }
  // One product for all images and channels: small ones for each of them take many times as long.
  const [images, channels] = x.shape as [Value['shape'][number], Value['shape'][number]];
  const flat = reshape(x, [images, channels, pixels]);
  const weights = constant(kroneckerProduct(rows, [size[0], height], columns, [size[1], width]), [windows, pixels]);
  return reshape(matmul(flat, weights, { transB: true }), [images, channels, ...size]);
}

/** Pixels of a map that is pooled by one matrix. Sums no longer than this have the same bits whatever the number of threads. */
const MOST_PIXELS_AT_ONCE = 128;

/** [N, C, H, W] → [N, C·H·W]. */
export function flatten(x: Value): Value {
  const features = x.shape.slice(1).reduce<number>((product, _, i) => product * staticDim(x.shape, i + 1), 1);
  return reshape(x, [x.shape[0]!, features]);
}
