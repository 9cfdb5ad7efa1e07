/** The input gradient of convolution with the blocked kernels. */
import { type Node, staticShape, type Value } from '../../graph/index.js';
import { type FilterShape, swapChannels, takeTaps } from './filters.js';
import { mapShape } from './layout.js';
import type { BlockedWriter } from './writer.js';

export function convInputGrad(writer: BlockedWriter, node: Node<'ConvInputGrad'>): boolean {
  const { strides, groups } = node.attributes;
  if (groups !== 1 || !mapShape(node.inputs[0]!)) return false;
  const [down, across] = strides;
  if (down === 1 && across === 1) return unitStride(writer, node);
  return down === 2 && across === 2 && halving(writer, node);
}

function shapeOf(node: Node<'ConvInputGrad'>): FilterShape {
  const [out, input, kh, kw] = staticShape(node.inputs[1]!.shape) as [number, number, number, number];
  return { out, input, kernel: [kh, kw] };
}

/** With stride 1: a convolution with the filter turned by 180°, its channels swapped. A sum it enters is added by the same kernel. */
function unitStride(writer: BlockedWriter, node: Node<'ConvInputGrad'>): boolean {
  const { blocked } = writer;
  const shape = shapeOf(node);
  const [kh, kw] = shape.kernel;
  const [top, left, bottom, right] = node.attributes.pads;
  const pads = [kh - 1 - top, kw - 1 - left, kh - 1 - bottom, kw - 1 - right];
  if (pads.some((amount) => amount < 0)) return false;
  const [cotangent, weight] = node.inputs as [Value, Value];
  const gradient = writer.asBlocked(cotangent);
  const taps = Array.from({ length: kh * kw }, (_, i) => kh * kw - 1 - i);
  const swapped = swapChannels(blocked, writer.plain(weight), shape);
  const turned = taps.length === 1 ? swapped : takeTaps(blocked, swapped, taps);
  const filter = blocked.reshape(turned, [blocked.padded(shape.input), blocked.padded(shape.out), kh, kw]);
  writer.defer(node.outputs[0]!, {
    absorbs: ['sum'],
    write: ({ sum }) =>
      blocked.op('Conv', [gradient, filter, ...(sum === undefined ? [] : ['', sum])], {
        kernel_shape: shape.kernel,
        pads,
      }),
  });
  return true;
}

/**
 * With stride 2 the even and odd rows and columns of the result see different taps. For a 3×3 filter with padding 1, even ones see the middle tap, odd ones
 * the first and the last: both column phases are made as channels of one small convolution, once for even rows and once for odd ones,
 * and interleaved by moving whole blocks. A 1×1 filter reaches even positions only.
 */
function halving(writer: BlockedWriter, node: Node<'ConvInputGrad'>): boolean {
  const shape = shapeOf(node);
  const { inputSize, pads } = node.attributes;
  if (inputSize.some((side) => side % 2 !== 0)) return false;
  const side = shape.kernel[0];
  if (side !== shape.kernel[1] || pads.some((amount) => amount !== (side - 1) / 2)) return false;
  if (side === 1) return pointwiseHalving(writer, node, shape);
  return side === 3 && interleavedHalving(writer, node, shape);
}

function pointwiseHalving(writer: BlockedWriter, node: Node<'ConvInputGrad'>, shape: FilterShape): boolean {
  const { blocked, emit } = writer;
  const [cotangent, weight] = node.inputs as [Value, Value];
  const { batch, height, width } = mapShape(cotangent)!;
  const stored = blocked.padded(shape.input);
  const filter = blocked.reshape(swapChannels(blocked, writer.plain(weight), shape), [
    stored,
    blocked.padded(shape.out),
    1,
    1,
  ]);
  const small = blocked.op('Conv', [writer.asBlocked(cotangent), filter], { kernel_shape: [1, 1] });
  const rows = Number(batch) * (stored / blocked.block) * height;
  // [rows, 1, width, b] → [rows, 2, width, 2·b]: zeros behind every row and every column.
  const apart = blocked.reshape(small, [rows, 1, width, blocked.block]);
  const spread = emit.op('Pad', [apart, emit.ints([0, 0, 0, 0, 0, 1, 0, blocked.block])]);
  writer.setBlocked(node.outputs[0]!, blocked.reshape(spread, [batch, stored, 2 * height, 2 * width]));
  return true;
}

/** Taps along one axis that reach even and odd positions, as pairs for outputs j and j + 1. */
const phaseTaps = [
  [1, 'none'],
  [2, 0],
] as const;

function interleavedHalving(writer: BlockedWriter, node: Node<'ConvInputGrad'>, shape: FilterShape): boolean {
  const { blocked, emit } = writer;
  const [cotangent, weight] = node.inputs as [Value, Value];
  const { batch, height, width } = mapShape(cotangent)!;
  const b = blocked.block;
  const stored = blocked.padded(shape.input);
  const out = blocked.padded(shape.out);
  const gradient = writer.asBlocked(cotangent);
  const swapped = swapChannels(blocked, writer.plain(weight), shape, true);
  const zeroTap = 9;
  /** Rows of one parity: [N, C/b, H, 1, 2·W·b]. */
  const rows = (rowTaps: readonly number[]): string => {
    const count = rowTaps.length;
    const taps = phaseTaps.flatMap((columns) =>
      rowTaps.flatMap((row) => columns.map((column) => (column === 'none' ? zeroTap : row * 3 + column))),
    );
    const gathered = blocked.reshape(takeTaps(blocked, swapped, taps), [stored / b, out / b, 2, count * 2 * b * b]);
    // Both column phases as output channels: [2·I, O, count, 2].
    const filter = blocked.reshape(blocked.transpose(gathered, [2, 0, 1, 3]), [2 * stored, out, count, 2]);
    const product = blocked.op('Conv', [gradient, filter], { kernel_shape: [count, 2], pads: [0, 0, count - 1, 1] });
    const phases = blocked.reshape(product, [batch, 2, stored / b, height, width, b]);
    return blocked.reshape(blocked.transpose(phases, [0, 2, 3, 4, 1, 5]), [
      batch,
      (stored / b) * height,
      1,
      2 * width * b,
    ]);
  };
  const even = rows([phaseTaps[0][0]]);
  const odd = rows([...phaseTaps[1]]);
  const joined = emit.op('Concat', [even, odd], { axis: 2 });
  writer.setBlocked(node.outputs[0]!, blocked.reshape(joined, [batch, stored, 2 * height, 2 * width]));
  return true;
}
