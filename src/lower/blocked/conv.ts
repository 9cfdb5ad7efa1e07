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
    const input = isImage ? writer.plain(x) : writer.asBlocked(x);
    const offset = bias && blocked.padVector(writer.plain(bias), shape.out);
    convolve(writer, node, { input, filter: reordered, offset, group: 1 });
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
  const offset = bias && writer.plain(bias);
  convolve(writer, node, { input: writer.asBlocked(x), filter, offset, group: groups / grouping.merged });
  return true;
}

/** What the kernel reads, in the form in which it does. */
interface Operands {
  readonly input: string;
  readonly filter: string;
  /** Bias, one for each stored channel. */
  readonly offset: string | undefined;
  readonly group: number;
}

/**
 * Emits the convolution, now or, with what is to be added to its channels, when a normalisation reads it. Convolution being linear, its mean over images is
 * that of the mean image.
 */
function convolve(writer: BlockedWriter, node: Node<'Conv'>, { input, filter, offset, group }: Operands): void {
  const { blocked, emit } = writer;
  const [x] = node.inputs as [Value];
  const [y] = node.outputs as [Value];
  const attributes = { kernel_shape: filterShape(node.inputs[1]!).kernel, ...geometry(node) };
  const write = (map: string, shift: string | undefined): string =>
    blocked.op('Conv', [map, filter, ...(shift === undefined ? [] : [shift])], {
      ...attributes,
      ...(group === 1 ? {} : { group }),
    });
  if (offset !== undefined || !isCheapOnce(node)) return writer.setBlocked(y, write(input, offset));
  writer.defer(y, {
    absorbs: ['shift'],
    write: ({ shift }) => write(input, shift),
    mean: () => {
      const image = writer.once(x, 'mean image', () => emit.op('ReduceMean', [input], { axes: [0], keepdims: 1 }));
      return blocked.channelMean(write(image, undefined), { ...mapShape(y)!, batch: 1 });
    },
  });
}

/** Multiplications for each element of one image that cost less than one more pass over that element in all images, by a wide margin. */
const CHEAP_PER_IMAGE = 8;

/** Whether to convolve one image more is cheaper than to pass once more over all results. */
function isCheapOnce(node: Node<'Conv'>): boolean {
  const { input, kernel } = filterShape(node.inputs[1]!);
  const [batch] = node.outputs[0]!.shape;
  return typeof batch === 'number' && input * kernel[0] * kernel[1] <= CHEAP_PER_IMAGE * batch;
}

export function filterShape(weight: Value): { out: number; input: number; kernel: readonly [number, number] } {
  const [out, input, kh, kw] = staticShape(weight.shape) as [number, number, number, number];
  return { out, input, kernel: [kh, kw] };
}

const geometry = ({ attributes }: Node<'Conv'>): Pick<ConvAttributes, 'strides' | 'pads'> => ({
  strides: attributes.strides,
  pads: attributes.pads,
});
