/** Average pooling and bilinear resizing in standard ONNX. */
import { staticDim } from '../../graph/index.js';
import type { PoolOps } from '../../graph/ops/pool.js';
import type { Emitter } from '../emitter.js';
import type { LoweringFor } from '../lower.js';
import { interpolationMatrix, transposedMatrix } from '../interpolation.js';

export const poolLowering: LoweringFor<PoolOps> = {
  AveragePool: (emit, { attributes: { kernel, strides } }, [x]) => [
    emit.op('AveragePool', [x!], { kernel_shape: kernel, strides }),
  ],
  // Every input element collects cotangent/(kh·kw) from each window that holds it: a depthwise transposed convolution.
  AveragePoolGrad: (emit, { inputs: [cotangent], attributes: { kernel, strides, inputSize } }, [dy]) => {
    const channels = staticDim(cotangent!.shape, 1);
    const taps = kernel[0] * kernel[1];
    const weight = emit.floats(new Float32Array(channels * taps).fill(1 / taps), [channels, 1, ...kernel]);
    const covered = (axis: 0 | 1): number => (staticDim(cotangent!.shape, axis + 2) - 1) * strides[axis] + kernel[axis];
    return [
      emit.op('ConvTranspose', [dy!, weight], {
        kernel_shape: kernel,
        strides,
        group: channels,
        output_padding: [inputSize[0] - covered(0), inputSize[1] - covered(1)],
      }),
    ];
  },
  GlobalAveragePool: (emit, _node, [x]) => [emit.op('ReduceMean', [x!], { axes: [2, 3], keepdims: 0 })],
  GlobalAveragePoolGrad: (emit, { outputs: [dx], attributes: { inputSize } }, [dy]) => {
    const shape = dx!.shape as number[];
    const scaled = emit.op('Mul', [dy!, emit.floats([1 / (inputSize[0] * inputSize[1])], [])]);
    const unsqueezed = emit.op('Reshape', [scaled, emit.ints([shape[0]!, shape[1]!, 1, 1])]);
    return [emit.op('Expand', [unsqueezed, emit.ints(shape)])];
  },
  ResizeBilinear: (emit, { inputs: [x], attributes: { size } }, [input]) => [
    separable(
      emit,
      input!,
      x!.shape as number[],
      [interpolationMatrix(staticDim(x!.shape, 2), size[0]), interpolationMatrix(staticDim(x!.shape, 3), size[1])],
      size,
    ),
  ],
  ResizeBilinearGrad: (emit, { inputs: [dy], attributes: { inputSize } }, [cotangent]) => {
    const matrices = [0, 1].map((axis) => {
      const output = staticDim(dy!.shape, axis + 2);
      return transposedMatrix(interpolationMatrix(inputSize[axis as 0 | 1], output), output, inputSize[axis as 0 | 1]);
    });
    return [separable(emit, cotangent!, dy!.shape as number[], [matrices[0]!, matrices[1]!], inputSize)];
  },
};

/** rows·X·columnsᵀ for every image and channel. `rows` is [oh, h], `columns` [ow, w]. */
function separable(
  emit: Emitter,
  x: string,
  [batch, channels, height, width]: readonly number[],
  [rows, columns]: readonly [Float32Array, Float32Array],
  [outHeight, outWidth]: readonly [number, number],
): string {
  const across = emit.floats(transposedMatrix(columns, outWidth, width!), [width!, outWidth]);
  const flat = emit.op('Reshape', [x, emit.ints([batch! * channels! * height!, width!])]);
  const wide = emit.op('Reshape', [
    emit.op('MatMul', [flat, across]),
    emit.ints([batch!, channels!, height!, outWidth]),
  ]);
  return emit.op('MatMul', [emit.floats(rows, [outHeight, height!]), wide]);
}
