/** The filter gradient of convolution with the blocked kernels. */
import { type Node, staticShape, type Value } from '../../graph/index.js';
import { gemm } from '../gemm.js';
import { mapShape } from './layout.js';
import type { BlockedWriter } from './writer.js';

export function convWeightGrad(writer: BlockedWriter, node: Node<'ConvWeightGrad'>): boolean {
  const { groups, kernel, pads } = node.attributes;
  if (groups !== 1) return false;
  if (kernel[0] === 1 && kernel[1] === 1 && pads.every((amount) => amount === 0)) return pointwise(writer, node);
  return correlation(writer, node);
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
  const gradient = blocked.reshape(blocked.toChannelsLast(writer.asBlocked(cotangent), out), [positions, out]);
  const product = gemm(emit, gradient, input, {
    rows: out,
    columns: channels,
    depth: positions,
    transA: true,
    transB: false,
  });
  writer.setPlain(node.outputs[0]!, blocked.reshape(product, [out, channels, 1, 1]));
  return true;
}

/**
 * dW is the correlation of the input with the cotangent, summed over the batch. Images take the place of channels: groups of b images are convolved at
 * once, the cotangent being the filter and its images the filter's input channels; what remains is a sum over the groups. The forward stride becomes
 * the dilation. Channels of the input are images of this convolution, or, as many as are in a block, pixels beside each other: their results come out
 * beside each other too, if the filter's columns are that far apart.
 */
function correlation(writer: BlockedWriter, node: Node<'ConvWeightGrad'>): boolean {
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
  const groups = batch / b;
  const storedOut = blocked.padded(out);
  const pixels = (storedOut / b) * outHeight * outWidth;
  const asFilter = blocked.toChannelsLast(
    blocked.reshape(writer.asBlocked(cotangent), [groups, b * b, pixels, 1]),
    b * b,
  );
  const filter = blocked.reshape(asFilter, [groups * storedOut, b, outHeight, outWidth]);
  const input = imagesInnermost(writer, x, pads[1], right);
  const product = blocked.op('Conv', [input.name, filter], {
    kernel_shape: [outHeight, outWidth],
    dilations: [strides[0], strides[1] * input.beside],
    pads: [pads[0], 0, bottom, 0],
    group: groups,
  });
  const taps = kernel[0] * kernel[1];
  const grouped = blocked.reshape(product, [input.apart, groups, storedOut * taps * input.beside]);
  // A product with ones: how ReduceSum rounds depends on the number of threads.
  const ones = emit.floats(new Float32Array(groups).fill(1), [1, groups]);
  const summed = groups === 1 ? grouped : emit.op('MatMul', [ones, grouped]);
  const parts = blocked.reshape(summed, [input.apart, storedOut / b, taps, input.beside, b]);
  const storedIn = input.apart * input.beside;
  const stored = blocked.reshape(blocked.transpose(parts, [1, 4, 0, 3, 2]), [storedOut, storedIn, ...kernel]);
  const isCut = storedOut !== out || storedIn !== channels;
  const cut = (): string =>
    emit.op('Slice', [stored, emit.ints([0, 0]), emit.ints([out, channels]), emit.ints([0, 1])]);
  writer.setPlain(node.outputs[0]!, isCut ? cut() : stored);
  return true;
}

/** A map as the input of `correlation`: its channels are `apart` images with `beside` pixels in the place of each. */
interface ImagesInnermost {
  /** [apart, N, H, (left + W + right)·beside], blocked, that is [apart, N/b, H, (left + W + right)·beside, b]. */
  readonly name: string;
  readonly apart: number;
  readonly beside: number;
}

/** Puts images in the place of channels and zeros beside every row. Columns are padded here and rows by the kernel, which is faster so. */
function imagesInnermost(writer: BlockedWriter, x: Value, left: number, right: number): ImagesInnermost {
  const { blocked, emit } = writer;
  const b = blocked.block;
  const [batch, channels, height, width] = staticShape(x.shape) as [number, number, number, number];
  const groups = batch / b;
  // What is blocked already has the channels of a block beside each other.
  const beside = writer.isBlocked(x) ? b : 1;
  const apart = beside === 1 ? channels : blocked.padded(channels) / b;
  const line = beside * b;
  const name = writer.once(x, `images innermost, ${left} and ${right} zeros`, () => {
    const source = beside === 1 ? writer.plain(x) : writer.asBlocked(x);
    const flat = blocked.reshape(source, [1, batch, apart * height * width * beside, 1]);
    const inside = blocked.reshape(blocked.op('ReorderInput', [flat]), [groups, apart, height * width * line]);
    const rows = blocked.reshape(blocked.transpose(inside, [1, 0, 2]), [apart * groups * height, width * line]);
    const widened = emit.op('Pad', [rows, emit.ints([0, left * line, 0, right * line])]);
    return blocked.reshape(widened, [apart, batch, height, (left + width + right) * beside]);
  });
  return { name, apart, beside };
}
