/** The filter gradient of convolution with the blocked kernels. */
import { type Node, staticShape, type Value } from '../../graph/index.js';
import { gemm } from '../gemm.js';
import { scaledFilter } from '../scaled-filter.js';
import { type Grouping, groupingOf, splitFilter } from './groups.js';
import { type BlockedEmitter, mapShape, type MapShape } from './layout.js';
import type { BlockedWriter } from './writer.js';

export function convWeightGrad(writer: BlockedWriter, node: Node<'ConvWeightGrad'>): boolean {
  const { groups, kernel, pads } = node.attributes;
  if (groups !== 1) return grouped(writer, node);
  if (kernel[0] === 1 && kernel[1] === 1 && pads.every((amount) => amount === 0)) return pointwise(writer, node);
  return correlation(writer, node, null);
}

function grouped(writer: BlockedWriter, node: Node<'ConvWeightGrad'>): boolean {
  const { groups } = node.attributes;
  const [out, input] = staticShape(node.outputs[0]!.shape) as [number, number];
  const grouping = groupingOf(writer.blocked.block, groups, input, out / groups);
  // Only a blocked input has the channels of a block beside each other.
  return grouping !== null && writer.isBlocked(node.inputs[0]!) && correlation(writer, node, grouping);
}

/** A 1×1 filter: dW = dYᵀ·X over all positions. */
function pointwise(writer: BlockedWriter, node: Node<'ConvWeightGrad'>): boolean {
  const { blocked, emit } = writer;
  const [x, cotangent] = node.inputs as [Value, Value];
  const { strides } = node.attributes;
  const [batch, out, height, width] = staticShape(cotangent.shape) as [number, number, number, number];
  const channels = mapShape(x)!.channels;
  if (channels % blocked.block !== 0 || out % blocked.block !== 0) return false;
  const read =
    strides[0] === 1 && strides[1] === 1
      ? writer.asBlocked(x)
      : blocked.op('AveragePool', [writer.asBlocked(x)], { kernel_shape: [1, 1], strides });
  const positions = batch * height * width;
  const input = blocked.reshape(blocked.toChannelsLast(read, channels), [positions, channels]);
  const { gradient, finish } = gradientOf(writer, cotangent);
  const rows = blocked.reshape(blocked.toChannelsLast(gradient, out), [positions, out]);
  const product = gemm(emit, rows, input, {
    rows: out,
    columns: channels,
    depth: positions,
    transA: true,
    transB: false,
  });
  writer.setPlain(node.outputs[0]!, finish(blocked.reshape(product, [out, channels, 1, 1])));
  return true;
}

/**
 * dW is the correlation of the input with the cotangent, summed over the batch. Images take the place of channels: groups of images are convolved at
 * once, the cotangent being the filter and its images the filter's input channels; what remains is a sum over the groups. The forward stride becomes
 * the dilation. Channels of the input are images of this convolution, or, as many as are in a block, pixels beside each other: their results come out
 * beside each other too, if the filter's columns are that far apart.
 *
 * Groups of channels multiply the groups of images: each is convolved with its own part of the cotangent.
 */
function correlation(writer: BlockedWriter, node: Node<'ConvWeightGrad'>, grouping: Grouping | null): boolean {
  const { blocked, emit } = writer;
  const b = blocked.block;
  const [x, cotangent] = node.inputs as [Value, Value];
  const { strides, pads, kernel } = node.attributes;
  const [batch, channels, height, width] = staticShape(x.shape) as [number, number, number, number];
  const [, out, outHeight, outWidth] = staticShape(cotangent.shape) as [number, number, number, number];
  const end = (axis: 0 | 1, size: number, outSize: number): number =>
    (outSize - 1) * strides[axis] + kernel[axis] - size - pads[axis];
  const bottom = end(0, height, outHeight);
  const right = end(1, width, outWidth);
  if (batch % b !== 0 || bottom < 0 || right < 0) return false;
  const parts = grouping ? grouping.groups / grouping.merged : 1;
  const storedOut = blocked.padded(out);
  const { gradient, finish } = gradientOf(writer, cotangent);
  const input = imagesAsChannels(writer, x, pads[1], right, parts);
  const groups = batch / input.atOnce;
  const filter = imagesAsFilter(blocked, gradient, mapShape(cotangent)!, input.atOnce);
  const product = blocked.op('Conv', [input.name, filter], {
    kernel_shape: [outHeight, outWidth],
    dilations: [strides[0], strides[1] * input.beside],
    pads: [pads[0], 0, bottom, 0],
    group: groups * parts,
  });
  const taps = kernel[0] * kernel[1];
  const grouped = blocked.reshape(product, [input.apart, groups, storedOut * taps * input.beside]);
  // A product with ones: how ReduceSum rounds depends on the number of threads.
  const ones = emit.floats(new Float32Array(groups).fill(1), [1, groups]);
  const summed = groups === 1 ? grouped : emit.op('MatMul', [ones, grouped]);
  const tensor = [input.apart, parts, storedOut / parts / b, taps, input.beside, b];
  const storedIn = input.apart * input.beside;
  const stored = blocked.reshape(blocked.permute(summed, tensor, [1, 2, 5, 0, 4, 3]), [storedOut, storedIn, ...kernel]);
  const filterGrad = grouping
    ? splitFilter(blocked, stored, grouping, kernel)
    : cutFilter(blocked, stored, [storedOut, storedIn], [out, channels]);
  writer.setPlain(node.outputs[0]!, finish(filterGrad));
  return true;
}

/** The gradient of the output, and what multiplies the filter's gradient by the factor that is missing there. */
function gradientOf(writer: BlockedWriter, cotangent: Value): { gradient: string; finish: (filter: string) => string } {
  const name = writer.asBlocked(cotangent);
  const unscaled = writer.emit.unscaledOf(name);
  if (!unscaled) return { gradient: name, finish: (filter) => filter };
  const scale = writer.blocked.cutVector(unscaled.scale, mapShape(cotangent)!.channels);
  return { gradient: unscaled.name, finish: (filter) => scaledFilter(writer.emit, filter, scale) };
}

/** Drops the channels that fill up blocks. */
function cutFilter(
  { emit }: BlockedEmitter,
  filter: string,
  stored: readonly [number, number],
  wanted: readonly [number, number],
): string {
  if (stored[0] === wanted[0] && stored[1] === wanted[1]) return filter;
  return emit.op('Slice', [filter, emit.ints([0, 0]), emit.ints([...wanted]), emit.ints([0, 1])]);
}

/** A map as the input of `correlation`: the channels of one of its parts are `apart` images with `beside` pixels in the place of each. */
interface ImagesAsChannels {
  /** [apart, N·parts, H, (left + W + right)·beside] */
  readonly name: string;
  /** Images in a group: a block of them beside each other, or fewer, each a map of its own. */
  readonly atOnce: number;
  readonly apart: number;
  readonly beside: number;
}

/** With so few blocks of channels it is faster to leave images apart than to put them beside each other. */
const FEW_BLOCKS = 2;

/** Puts images in the place of channels and zeros beside every row. Columns are padded here and rows by the kernel, which is faster so. */
function imagesAsChannels(
  writer: BlockedWriter,
  x: Value,
  left: number,
  right: number,
  parts: number,
): ImagesAsChannels {
  const { blocked } = writer;
  const b = blocked.block;
  const [batch, channels, height, width] = staticShape(x.shape) as [number, number, number, number];
  // What is blocked already has the channels of a block beside each other.
  const beside = writer.isBlocked(x) ? b : 1;
  const apart = (beside === 1 ? channels : blocked.padded(channels) / b) / parts;
  const innermost = apart > FEW_BLOCKS;
  // The kernels take fewer channels than a block has as they are.
  const atOnce = innermost ? b : b / 2;
  const groups = batch / atOnce;
  const inside = innermost ? b : 1;
  const line = inside * beside;
  const pixels = height * width * beside;
  const name = writer.once(x, `images as channels, ${left} and ${right} zeros, ${parts} parts`, () => {
    const source = beside === 1 ? writer.plain(x) : writer.asBlocked(x);
    const moved = innermost
      ? blocked.permute(
          imagesInnermost(blocked, source, [batch, pixels * apart * parts]),
          [groups, parts, apart, pixels * inside],
          [2, 0, 1, 3],
        )
      : blocked.permute(source, [groups, atOnce, parts, apart, pixels], [3, 0, 2, 1, 4]);
    const maps = [apart * parts * (batch / inside), height, width * line] as const;
    const widened = padColumns(blocked, moved, maps, [left * line, right * line]);
    return blocked.reshape(widened, [apart, batch * parts, height, (left + width + right) * beside]);
  });
  return { name, atOnce, apart, beside };
}

/** Zeros before and behind every row of [maps, H, W]. A depthwise 1×1 convolution with ones adds them no slower than a Pad, and on all threads. */
function padColumns(
  blocked: BlockedEmitter,
  x: string,
  [maps, height, width]: readonly [number, number, number],
  [before, after]: readonly [number, number],
): string {
  const { emit, block: b } = blocked;
  if (width % b !== 0 || before % b !== 0 || after % b !== 0) {
    return emit.op('Pad', [blocked.reshape(x, [maps * height, width]), emit.ints([0, before, 0, after])]);
  }
  const ones = emit.floats(new Float32Array(b).fill(1), [b, 1, 1, 1]);
  return blocked.op('Conv', [blocked.reshape(x, [maps, b, height, width / b]), ones], {
    kernel_shape: [1, 1],
    pads: [0, before / b, 0, after / b],
    group: b,
  });
}

/** The cotangent [N, O, H, W] as the filter of `correlation`: for each group of images [O/b, images, H, W, b]. */
function imagesAsFilter(blocked: BlockedEmitter, gradient: string, shape: MapShape, atOnce: number): string {
  const b = blocked.block;
  const groups = Number(shape.batch) / atOnce;
  const blocks = blocked.padded(shape.channels) / b;
  const pixels = shape.height * shape.width;
  const stored = [groups * blocks * b, atOnce, shape.height, shape.width];
  if (atOnce < b) {
    return blocked.reshape(blocked.permute(gradient, [groups, atOnce, blocks, pixels * b], [0, 2, 1, 3]), stored);
  }
  const images = blocked.reshape(gradient, [groups, b * b, blocks * pixels, 1]);
  return blocked.reshape(blocked.toChannelsLast(images, b * b), stored);
}

/** [N, elements] as [N/b, elements, b]. */
function imagesInnermost(blocked: BlockedEmitter, x: string, [batch, elements]: readonly [number, number]): string {
  return blocked.op('ReorderInput', [blocked.reshape(x, [1, batch, elements, 1])]);
}
