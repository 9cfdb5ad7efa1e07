/** The filter gradient of convolution in standard ONNX: as products of large matrices, or as a convolution. */
import { elementCount } from '../../files/tensor.js';
import { type Node, staticShape } from '../../graph/index.js';
import type { Emitter } from '../emitter.js';
import { scaledFilter } from '../scaled-filter.js';
import { cropped, type Pads } from './crop.js';
import { everyTapReads, shiftedProducts } from './shifted-products.js';

/** @param inputs names of the input and of the output's cotangent */
export function convWeightGrad(emit: Emitter, node: Node<'ConvWeightGrad'>, [x, cotangent]: readonly string[]): string {
  const unscaled = emit.unscaledOf(cotangent!);
  if (!unscaled) return filterGrad(emit, node, [x!, cotangent!]);
  return scaledFilter(emit, filterGrad(emit, node, [x!, unscaled.name]), unscaled.scale);
}

function filterGrad(emit: Emitter, node: Node<'ConvWeightGrad'>, inputs: readonly string[]): string {
  if (node.attributes.groups === 1 && everyTapReads(node)) return shiftedProducts(emit, node, inputs);
  const [, , height, width] = staticShape(node.inputs[0]!.shape) as [number, number, number, number];
  const pads = paddingRead(node);
  // No window reaches beyond the padding at the top or the left.
  if (height + pads[2] <= 0 || width + pads[3] <= 0) {
    const shape = staticShape(node.outputs[0]!.shape);
    return emit.floats(new Float32Array(elementCount(shape)), shape);
  }
  return swappedConv(emit, node, inputs, pads);
}

/** The padding that windows read; negative at the bottom and right where they leave rows and columns of the input unread. */
function paddingRead(node: Node<'ConvWeightGrad'>): Pads {
  const { strides, pads, kernel } = node.attributes;
  const input = staticShape(node.inputs[0]!.shape);
  const output = staticShape(node.inputs[1]!.shape);
  const end = (axis: 0 | 1): number =>
    (output[axis + 2]! - 1) * strides[axis] + kernel[axis] - input[axis + 2]! - pads[axis];
  return [pads[0], pads[1], end(0), end(1)];
}

/**
 * dW is the correlation of input and cotangent with batch and channels swapped: [C, N, H, W] ⋆ [O, N, Ho, Wo], where
 * the forward stride becomes the dilation. With groups, each group's channels are batch entries of their own.
 */
function swappedConv(
  emit: Emitter,
  node: Node<'ConvWeightGrad'>,
  [x, cotangent]: readonly string[],
  pads: Pads,
): string {
  const { strides, groups } = node.attributes;
  const [batch, channels, height, width] = staticShape(node.inputs[0]!.shape) as [number, number, number, number];
  const [, , outHeight, outWidth] = staticShape(node.inputs[1]!.shape);
  const perGroup = channels / groups;
  // [N, G·C, H, W] → [C, G·N, H, W]: group g of the correlation reads the N images of channel group g.
  const grouped = emit.op('Reshape', [x!, emit.ints([batch, groups, perGroup, height * width])]);
  const input = emit.op('Reshape', [
    emit.op('Transpose', [grouped], { perm: [2, 1, 0, 3] }),
    emit.ints([perGroup, groups * batch, height, width]),
  ]);
  const filter = emit.op('Transpose', [cotangent!], { perm: [1, 0, 2, 3] });
  const [source, padding] = cropped(emit, input, [height, width], pads);
  const product = emit.op('Conv', [source, filter], {
    strides: [1, 1],
    dilations: strides,
    pads: padding,
    group: groups,
    kernel_shape: [outHeight!, outWidth!],
  });
  // [C, O, kh, kw] → [O, C, kh, kw]
  return emit.op('Transpose', [product], { perm: [1, 0, 2, 3] });
}
