/** Pooling and bilinear resizing in standard ONNX. */
import {
  averagingMatrix,
  interpolationMatrix,
  kroneckerProduct,
  transposedMatrix,
} from '../../graph/constant-matrices.js';
import { staticDim, staticShape, type Value } from '../../graph/index.js';
import type { PoolOps } from '../../graph/ops/pool.js';
import type { Emitter } from '../emitter.js';
import type { LoweringFor } from '../lower.js';
import { maxPoolGrad } from '../max-pool-grad.js';

type Size = readonly [number, number];

export const poolLowering: LoweringFor<PoolOps> = {
  AveragePool: (emit, { attributes: { kernel, strides } }, [x]) => [
    emit.op('AveragePool', [x!], { kernel_shape: kernel, strides }),
  ],
  AveragePoolGrad: (emit, { inputs: [cotangent], attributes }, [dy]) => [
    averagePoolGrad(emit, cotangent!, attributes, dy!),
  ],
  MaxPool: (emit, { attributes: { kernel, strides, pads } }, [x]) => [
    emit.op('MaxPool', [x!], { kernel_shape: kernel, strides, pads }),
  ],
  MaxPoolGrad: (emit, { inputs: [dy, x], attributes }, names) => {
    const [batch, channels, height, width] = staticShape(x!.shape) as [number, number, number, number];
    const pooled = [staticDim(dy!.shape, 2), staticDim(dy!.shape, 3)] as const;
    const spread = (name: string, shape: readonly number[]): string =>
      emit.op('Reshape', [name, emit.ints([batch, channels, ...shape, 1])]);
    const [cotangent, input, output] = names as [string, string, string];
    const gradient = maxPoolGrad(
      emit,
      { images: [batch, channels], size: [height, width], pooled, block: 1 },
      attributes,
      [spread(cotangent, pooled), spread(input, [height, width]), spread(output, pooled)],
    );
    return [emit.op('Reshape', [gradient, emit.ints([batch, channels, height, width])])];
  },
  GlobalAveragePool: (emit, _node, [x]) => [emit.op('ReduceMean', [x!], { axes: [2, 3], keepdims: 0 })],
  GlobalAveragePoolGrad: (emit, { attributes: { inputSize } }, [dy]) => {
    const scaled = emit.op('Mul', [dy!, emit.floats([1 / (inputSize[0] * inputSize[1])], [])]);
    // 0 in Reshape keeps a dimension, and so does 1 in Expand.
    const pixel = emit.op('Reshape', [scaled, emit.ints([0, 0, 1, 1])]);
    return [emit.op('Expand', [pixel, emit.ints([1, 1, ...inputSize])])];
  },
  ResizeBilinear: (emit, { inputs: [x], attributes: { size } }, [input]) => {
    const [height, width] = [staticDim(x!.shape, 2), staticDim(x!.shape, 3)];
    const rows = { data: interpolationMatrix(height, size[0]), shape: [size[0], height] as const };
    const columns = { data: interpolationMatrix(width, size[1]), shape: [size[1], width] as const };
    return [separable(emit, input!, staticDim(x!.shape, 1), rows, columns)];
  },
  ResizeBilinearGrad: (emit, { inputs: [dy], attributes: { inputSize } }, [cotangent]) => {
    const along = (axis: 0 | 1): Matrix => {
      const [input, output] = [inputSize[axis], staticDim(dy!.shape, axis + 2)];
      return transposed({ data: interpolationMatrix(input, output), shape: [output, input] });
    };
    return [separable(emit, cotangent!, staticDim(dy!.shape, 1), along(0), along(1))];
  },
};

/** Every input element collects cotangent/(kh·kw) from each window that holds it. */
function averagePoolGrad(
  emit: Emitter,
  cotangent: Value,
  { kernel, strides, inputSize }: PoolOps['AveragePoolGrad'],
  dy: string,
): string {
  const channels = staticDim(cotangent.shape, 1);
  const pooled = [staticDim(cotangent.shape, 2), staticDim(cotangent.shape, 3)] as const;
  const taps = kernel[0] * kernel[1];
  const tiled = ([0, 1] as const).every((i) => kernel[i] === strides[i] && pooled[i] * kernel[i] === inputSize[i]);
  if (tiled) return spread(emit, dy, pooled, kernel);
  // A depthwise transposed convolution.
  const weight = emit.floats(new Float32Array(channels * taps).fill(1 / taps), [channels, 1, ...kernel]);
  const covered = (i: 0 | 1): number => (pooled[i] - 1) * strides[i] + kernel[i];
  return emit.op('ConvTranspose', [dy, weight], {
    kernel_shape: kernel,
    strides,
    group: channels,
    output_padding: [inputSize[0] - covered(0), inputSize[1] - covered(1)],
  });
}

/** Elements of the largest matrix by which windows are spread at once: 4×4 to 16×16. */
const MOST_SPREADING_WEIGHTS = 4096;

/** Every value of a map divided among the elements of its window; windows lie side by side. ConvTranspose takes many times as long. */
function spread(emit: Emitter, x: string, [height, width]: Size, kernel: Size): string {
  const [outHeight, outWidth] = [height * kernel[0], width * kernel[1]];
  const result = (y: string): string => emit.op('Reshape', [y, emit.ints([0, 0, outHeight, outWidth])]); // 0 keeps a dimension
  const [windows, elements] = [height * width, outHeight * outWidth];
  if (windows * elements <= MOST_SPREADING_WEIGHTS) {
    const rows = averagingMatrix(outHeight, height);
    const weights = kroneckerProduct(rows, [height, outHeight], averagingMatrix(outWidth, width), [width, outWidth]);
    const flat = emit.op('Reshape', [x, emit.ints([0, 0, windows])]);
    return result(emit.op('MatMul', [flat, emit.floats(weights, [windows, elements])]));
  }
  const scaled = emit.op('Mul', [x, emit.floats([1 / (kernel[0] * kernel[1])], [])]);
  const apart = emit.op('Reshape', [scaled, emit.ints([0, 0, height, 1, width, 1])]);
  return result(emit.op('Expand', [apart, emit.ints([1, 1, height, kernel[0], width, kernel[1]])]));
}

/** Row-major. */
interface Matrix {
  readonly data: Float32Array;
  readonly shape: readonly [number, number];
}

const transposed = ({ data, shape: [rows, columns] }: Matrix): Matrix => ({
  data: transposedMatrix(data, rows, columns),
  shape: [columns, rows],
});

/** rows·X·columnsᵀ for every image and channel: the wide product first, as one. ONNX's Resize is slower. */
function separable(emit: Emitter, x: string, channels: number, rows: Matrix, columns: Matrix): string {
  const [outWidth, width] = columns.shape;
  const across = emit.floats(transposed(columns).data, [width, outWidth]);
  const lines = emit.op('Reshape', [x, emit.ints([-1, width])]);
  const resized = emit.op('Reshape', [
    emit.op('MatMul', [lines, across]),
    emit.ints([-1, channels, rows.shape[1], outWidth]),
  ]);
  return emit.op('MatMul', [emit.floats(rows.data, rows.shape), resized]);
}
