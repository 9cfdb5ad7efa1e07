/** Convolutions and their gradients with the blocked kernels. */
import { type Node, staticShape, type Value } from '../../graph/index.js';
import type { ConvAttributes } from '../../graph/ops/conv.js';
import { padFilter, reorderFilter, reorderImageFilter } from './filters.js';
import { convInputGrad } from './conv-input-grad.js';
import { convWeightGrad } from './conv-weight-grad.js';
import { groupingOf, mergeFilter } from './groups.js';
import { mapShape } from './layout.js';
import type { BlockedRules } from './rules.js';
import type { BlockedWriter } from './writer.js';

export const convRules: BlockedRules = {
  Conv: (writer, node) => {
    const [x, weight, bias] = node.inputs as [Value, Value, Value | undefined];
    const { blocked } = writer;
    const shape = filterShape(weight);
    if (!mapShape(x) || !mapShape(node.outputs[0]!)) return false;
    if (node.attributes.groups !== 1) return grouped(writer, node);
    // A plain image of a few channels is read as it is.
    const isImage = shape.input < blocked.block && !writer.isBlocked(x);
    const filter = padFilter(blocked, writer.plain(weight), shape, !isImage);
    const padded = {
      ...shape,
      out: blocked.padded(shape.out),
      input: isImage ? shape.input : blocked.padded(shape.input),
    };
    const reordered = isImage ? reorderImageFilter(blocked, filter, padded) : reorderFilter(blocked, filter, padded);
    const inputs = [isImage ? writer.plain(x) : writer.asBlocked(x), reordered];
    if (bias) inputs.push(blocked.padVector(writer.plain(bias), shape.out));
    writer.setBlocked(node.outputs[0]!, blocked.op('Conv', inputs, { kernel_shape: shape.kernel, ...geometry(node) }));
    return true;
  },
  ConvInputGrad: convInputGrad,
  ConvWeightGrad: convWeightGrad,
};

/** The same where channels are in groups. */
function grouped(writer: BlockedWriter, node: Node<'Conv'>): boolean {
  const { blocked } = writer;
  const [x, weight, bias] = node.inputs as [Value, Value, Value | undefined];
  const { groups } = node.attributes;
  const { out, input, kernel } = filterShape(weight);
  const grouping = groupingOf(blocked.block, groups, input, out / groups);
  if (!grouping) return false;
  const merged = mergeFilter(blocked, writer.plain(weight), grouping, kernel);
  const filter = reorderFilter(blocked, merged, { out, input: grouping.merged * input, kernel });
  const inputs = [writer.asBlocked(x), filter, ...(bias ? [writer.plain(bias)] : [])];
  const attributes = { kernel_shape: kernel, group: groups / grouping.merged, ...geometry(node) };
  writer.setBlocked(node.outputs[0]!, blocked.op('Conv', inputs, attributes));
  return true;
}

export function filterShape(weight: Value): { out: number; input: number; kernel: readonly [number, number] } {
  const [out, input, kh, kw] = staticShape(weight.shape) as [number, number, number, number];
  return { out, input, kernel: [kh, kw] };
}

const geometry = ({ attributes }: Node<'Conv'>): Pick<ConvAttributes, 'strides' | 'pads'> => ({
  strides: attributes.strides,
  pads: attributes.pads,
});
