/** Convolution and its gradients in standard ONNX. */
import { staticDim } from '../../graph/index.js';
import type { ConvAttributes, ConvOps } from '../../graph/ops/conv.js';
import type { Node } from '../../graph/index.js';
import type { Emitter } from '../emitter.js';
import type { LoweringFor } from '../lower.js';

export const convLowering: LoweringFor<ConvOps> = {
  Conv: (emit, { inputs: [, weight], attributes }, inputs) => [
    emit.op('Conv', inputs, {
      ...geometry(attributes),
      kernel_shape: [staticDim(weight!.shape, 2), staticDim(weight!.shape, 3)],
    }),
  ],
  ConvInputGrad: (emit, node, inputs) => [
    isUnitStride(node.attributes) && node.attributes.groups === 1
      ? flippedConv(emit, node, inputs)
      : transposedConv(emit, node, inputs),
  ],
  ConvWeightGrad: (emit, node, inputs) => [weightGrad(emit, node, inputs)],
};

const geometry = ({ strides, pads, groups }: ConvAttributes) => ({ strides, pads, group: groups });

const isUnitStride = ({ strides }: ConvAttributes): boolean => strides[0] === 1 && strides[1] === 1;

/** dX of a convolution with stride 1 is a convolution with the filter turned by 180° and its channels swapped. */
function flippedConv(emit: Emitter, node: Node<'ConvInputGrad'>, [cotangent, weight]: readonly string[]): string {
  const [out, input, kh, kw] = node.inputs[1]!.shape as [number, number, number, number];
  const [top, left, bottom, right] = node.attributes.pads;
  const taps = Array.from({ length: kh * kw }, (_, i) => kh * kw - 1 - i);
  const swapped = emit.op('Transpose', [weight!], { perm: [1, 0, 2, 3] });
  const turned =
    kh * kw === 1
      ? swapped
      : emit.op('Reshape', [
          emit.op('Gather', [emit.op('Reshape', [swapped, emit.ints([input, out, kh * kw])]), emit.ints(taps)], {
            axis: 2,
          }),
          emit.ints([input, out, kh, kw]),
        ]);
  return emit.op('Conv', [cotangent!, turned], {
    strides: [1, 1],
    pads: [kh - 1 - top, kw - 1 - left, kh - 1 - bottom, kw - 1 - right],
    kernel_shape: [kh, kw],
  });
}

/** The general form; `output_padding` makes up for input rows and columns that the strided filter never reached. */
function transposedConv(emit: Emitter, node: Node<'ConvInputGrad'>, inputs: readonly string[]): string {
  const { strides, pads, groups, inputSize } = node.attributes;
  const [cotangent, weight] = node.inputs;
  const kernel = [staticDim(weight!.shape, 2), staticDim(weight!.shape, 3)] as const;
  const covered = (axis: 0 | 1): number =>
    (staticDim(cotangent!.shape, 2 + axis) - 1) * strides[axis] + kernel[axis] - pads[axis] - pads[axis + 2]!;
  return emit.op('ConvTranspose', inputs, {
    strides,
    pads,
    group: groups,
    kernel_shape: kernel,
    output_padding: [inputSize[0] - covered(0), inputSize[1] - covered(1)],
  });
}

/**
 * dW is the correlation of input and cotangent with batch and channels swapped: [C, N, H, W] ⋆ [O, N, Ho, Wo], where
 * the forward stride becomes the dilation. With groups, each group's channels are batch entries of their own.
 */
function weightGrad(emit: Emitter, node: Node<'ConvWeightGrad'>, [x, cotangent]: readonly string[]): string {
  const { strides, pads, groups, kernel } = node.attributes;
  const [batch, channels, height, width] = node.inputs[0]!.shape as [number, number, number, number];
  const [, , outHeight, outWidth] = node.inputs[1]!.shape as [number, number, number, number];
  const perGroup = channels / groups;
  // [N, G·C, H, W] → [C, G·N, H, W]: group g of the correlation reads the N images of channel group g.
  const grouped = emit.op('Reshape', [x!, emit.ints([batch, groups, perGroup, height * width])]);
  const input = emit.op('Reshape', [
    emit.op('Transpose', [grouped], { perm: [2, 1, 0, 3] }),
    emit.ints([perGroup, groups * batch, height, width]),
  ]);
  const filter = emit.op('Transpose', [cotangent!], { perm: [1, 0, 2, 3] });
  // Rows and columns below the last window are not read by the forward pass; negative end padding cuts them off.
  const end = (axis: 0 | 1, size: number, outSize: number): number =>
    (outSize - 1) * strides[axis] + kernel[axis] - size - pads[axis];
  const ends = [end(0, height, outHeight), end(1, width, outWidth)] as const;
  const needsCut = ends.some((n) => n < 0);
  const source = needsCut
    ? emit.op('Pad', [input, emit.ints([0, 0, 0, 0, 0, 0, Math.min(ends[0], 0), Math.min(ends[1], 0)])])
    : input;
  const product = emit.op('Conv', [source, filter], {
    strides: [1, 1],
    dilations: strides,
    pads: [pads[0], pads[1], Math.max(ends[0], 0), Math.max(ends[1], 0)],
    group: groups,
    kernel_shape: [outHeight, outWidth],
  });
  // [C, O, kh, kw] → [O, C, kh, kw]
  return emit.op('Transpose', [product], { perm: [1, 0, 2, 3] });
}
