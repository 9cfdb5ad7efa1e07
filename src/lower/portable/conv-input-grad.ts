/** The input gradient of convolution in standard ONNX. */
import { type Node, staticDim, staticShape } from '../../graph/index.js';
import type { Emitter } from '../emitter.js';
import { scaledFilter } from '../scaled-filter.js';
import { cropped } from './crop.js';

/** @param inputs names of the output's cotangent and of the filter */
export function convInputGrad(
  emit: Emitter,
  node: Node<'ConvInputGrad'>,
  [cotangent, weight]: readonly string[],
): string {
  const unscaled = emit.unscaledOf(cotangent!);
  const operands = unscaled ? [unscaled.name, scaledFilter(emit, weight!, unscaled.scale)] : [cotangent!, weight!];
  const [down, across] = node.attributes.strides;
  return down === 1 && across === 1 ? flippedConv(emit, node, operands) : transposedConv(emit, node, operands);
}

/** With stride 1 it is a convolution with the filter turned by 180° and its channels swapped within each group. */
function flippedConv(emit: Emitter, node: Node<'ConvInputGrad'>, [cotangent, weight]: readonly string[]): string {
  const [out, perGroup, kh, kw] = staticShape(node.inputs[1]!.shape) as [number, number, number, number];
  const { pads, groups } = node.attributes;
  const [top, left, bottom, right] = pads;
  const size = [staticDim(node.inputs[0]!.shape, 2), staticDim(node.inputs[0]!.shape, 3)] as const;
  const swapped = emit.op(
    'Transpose',
    [emit.op('Reshape', [weight!, emit.ints([groups, out / groups, perGroup, kh * kw])])],
    { perm: [0, 2, 1, 3] },
  );
  const taps = Array.from({ length: kh * kw }, (_, i) => kh * kw - 1 - i);
  const turned = kh * kw === 1 ? swapped : emit.op('Gather', [swapped, emit.ints(taps)], { axis: 3 });
  const filter = emit.op('Reshape', [turned, emit.ints([groups * perGroup, out / groups, kh, kw])]);
  // Padding wider than the kernel gave outputs that saw zeros only: negative padding here.
  const [source, padding] = cropped(emit, cotangent!, size, [
    kh - 1 - top,
    kw - 1 - left,
    kh - 1 - bottom,
    kw - 1 - right,
  ]);
  return emit.op('Conv', [source, filter], { strides: [1, 1], pads: padding, group: groups, kernel_shape: [kh, kw] });
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
