/** The input gradient of convolution with the blocked kernels. */
import { type Node, staticShape } from '../../graph/index.js';
import { scaledFilter } from '../scaled-filter.js';
import { type FilterShape, swapChannels, takeTaps } from './filters.js';
import { groupingOf, mergeFilter } from './groups.js';
import { mapShape } from './layout.js';
import type { BlockedWriter } from './writer.js';

export function convInputGrad(writer: BlockedWriter, node: Node<'ConvInputGrad'>): boolean {
  const { strides } = node.attributes;
  if (!mapShape(node.inputs[0]!)) return false;
  const filter = filterOf(writer, node);
  if (!filter) return false;
  const [down, across] = strides;
  if (down === 1 && across === 1) return unitStride(writer, node, filter);
  return down === 2 && across === 2 && halving(writer, node, filter);
}

/** The filter as the kernels take it. */
interface GroupedFilter {
  /** [out, input, kh, kw], where `input` is that of one group. */
  readonly shape: FilterShape;
  readonly groups: number;
  /** Channels of the maps, as stored. */
  readonly storedInput: number;
  /** Channels as stored that each group makes. */
  readonly storedOut: number;
  /** Emits it. */
  readonly write: () => string;
}

function filterOf(writer: BlockedWriter, node: Node<'ConvInputGrad'>): GroupedFilter | null {
  const { blocked } = writer;
  const weight = node.inputs[1]!;
  const [out, input, kh, kw] = staticShape(weight.shape) as [number, number, number, number];
  const kernel = [kh, kw] as const;
  const { groups } = node.attributes;
  /** A factor that the gradient is still to be multiplied by goes to the filter. */
  const weightOf = (): string => {
    const factor = writer.emit.unscaledOf(writer.asBlocked(node.inputs[0]!))?.scale;
    const plain = writer.plain(weight);
    return factor === undefined ? plain : scaledFilter(blocked.emit, plain, blocked.cutVector(factor, out));
  };
  if (groups === 1) {
    return {
      shape: { out, input, kernel },
      groups,
      storedInput: blocked.padded(input),
      storedOut: blocked.padded(out),
      write: weightOf,
    };
  }
  const grouping = groupingOf(blocked.block, groups, input, out / groups);
  if (!grouping) return null;
  const { merged } = grouping;
  return {
    shape: { out, input: merged * input, kernel },
    groups: groups / merged,
    storedInput: groups * input,
    storedOut: (merged * out) / groups,
    write: () => mergeFilter(blocked, weightOf(), grouping, kernel),
  };
}

/** The gradient of the output, less the factor that `GroupedFilter.write` takes in. */
function gradientOf(writer: BlockedWriter, { inputs: [cotangent] }: Node<'ConvInputGrad'>): string {
  const name = writer.asBlocked(cotangent!);
  return writer.emit.unscaledOf(name)?.name ?? name;
}

/** Of a convolution with groups. */
const groupAttribute = (groups: number): { group?: number } => (groups === 1 ? {} : { group: groups });

/** With stride 1: a convolution with the filter turned by 180°, its channels swapped. A sum it enters is added by the same kernel. */
function unitStride(writer: BlockedWriter, node: Node<'ConvInputGrad'>, filter: GroupedFilter): boolean {
  const { blocked } = writer;
  const { shape, groups, storedInput, storedOut } = filter;
  const [kh, kw] = shape.kernel;
  const [top, left, bottom, right] = node.attributes.pads;
  const pads = [kh - 1 - top, kw - 1 - left, kh - 1 - bottom, kw - 1 - right];
  if (pads.some((amount) => amount < 0)) return false;
  const gradient = gradientOf(writer, node);
  const taps = Array.from({ length: kh * kw }, (_, i) => kh * kw - 1 - i);
  const swapped = swapChannels(blocked, filter.write(), shape, { groups });
  const turned = taps.length === 1 ? swapped : takeTaps(blocked, swapped, taps);
  const reordered = blocked.reshape(turned, [storedInput, storedOut, kh, kw]);
  writer.defer(node.outputs[0]!, {
    absorbs: ['sum'],
    write: ({ sum }) =>
      blocked.op('Conv', [gradient, reordered, ...(sum === undefined ? [] : ['', sum])], {
        kernel_shape: shape.kernel,
        pads,
        ...groupAttribute(groups),
      }),
  });
  return true;
}

/**
 * With stride 2 the even and odd rows and columns of the result see different taps. For a 3×3 filter with padding 1, even ones see the middle tap, odd ones
 * the first and the last: both column phases are made as channels of one small convolution, once for even rows and once for odd ones,
 * and interleaved by moving whole blocks. A 1×1 filter reaches even positions only.
 */
function halving(writer: BlockedWriter, node: Node<'ConvInputGrad'>, filter: GroupedFilter): boolean {
  const { inputSize, pads } = node.attributes;
  if (inputSize.some((side) => side % 2 !== 0)) return false;
  const [side, width] = filter.shape.kernel;
  if (side !== width || pads.some((amount) => amount !== (side - 1) / 2)) return false;
  if (side === 1) return pointwiseHalving(writer, node, filter);
  return side === 3 && interleavedHalving(writer, node, filter);
}

function pointwiseHalving(writer: BlockedWriter, node: Node<'ConvInputGrad'>, filter: GroupedFilter): boolean {
  const { blocked, emit } = writer;
  const { shape, groups, storedInput, storedOut } = filter;
  const cotangent = node.inputs[0]!;
  const { batch, height, width } = mapShape(cotangent)!;
  const swapped = swapChannels(blocked, filter.write(), shape, { groups });
  const small = blocked.op(
    'Conv',
    [gradientOf(writer, node), blocked.reshape(swapped, [storedInput, storedOut, 1, 1])],
    { kernel_shape: [1, 1], ...groupAttribute(groups) },
  );
  const rows = Number(batch) * (storedInput / blocked.block) * height;
  // [rows, 1, width, b] → [rows, 2, width, 2·b]: zeros behind every row and every column.
  const apart = blocked.reshape(small, [rows, 1, width, blocked.block]);
  const spread = emit.op('Pad', [apart, emit.ints([0, 0, 0, 0, 0, 1, 0, blocked.block])]);
  writer.setBlocked(node.outputs[0]!, blocked.reshape(spread, [batch, storedInput, 2 * height, 2 * width]));
  return true;
}

/** Taps along one axis that reach even and odd positions, as pairs for outputs j and j + 1. */
const phaseTaps = [
  [1, 'none'],
  [2, 0],
] as const;

function interleavedHalving(writer: BlockedWriter, node: Node<'ConvInputGrad'>, filter: GroupedFilter): boolean {
  const { blocked, emit } = writer;
  const { shape, groups, storedInput, storedOut } = filter;
  const cotangent = node.inputs[0]!;
  const { batch, height, width } = mapShape(cotangent)!;
  const b = blocked.block;
  const blocksOfGroup = storedInput / groups / b;
  const gradient = gradientOf(writer, node);
  const swapped = swapChannels(blocked, filter.write(), shape, { zeroTap: true, groups });
  const zeroTap = 9;
  /** Rows of one parity: [N, C/b, H, 1, 2·W·b]. */
  const rows = (rowTaps: readonly number[]): string => {
    const count = rowTaps.length;
    const taps = phaseTaps.flatMap((columns) =>
      rowTaps.flatMap((row) => columns.map((column) => (column === 'none' ? zeroTap : row * 3 + column))),
    );
    const gathered = blocked.reshape(takeTaps(blocked, swapped, taps), [
      groups,
      blocksOfGroup,
      storedOut / b,
      2,
      count * 2 * b * b,
    ]);
    // Both column phases as output channels of each group: [groups·2·I, O, count, 2].
    const phased = blocked.reshape(blocked.transpose(gathered, [0, 3, 1, 2, 4]), [
      2 * storedInput,
      storedOut,
      count,
      2,
    ]);
    const product = blocked.op('Conv', [gradient, phased], {
      kernel_shape: [count, 2],
      pads: [0, 0, count - 1, 1],
      ...groupAttribute(groups),
    });
    const phases = blocked.reshape(product, [Number(batch) * groups, 2, blocksOfGroup, height, width, b]);
    return blocked.reshape(blocked.transpose(phases, [0, 2, 3, 4, 1, 5]), [
      batch,
      (storedInput / b) * height,
      1,
      2 * width * b,
    ]);
  };
  const even = rows([phaseTaps[0][0]]);
  const odd = rows([...phaseTaps[1]]);
  const joined = emit.op('Concat', [even, odd], { axis: 2 });
  writer.setBlocked(node.outputs[0]!, blocked.reshape(joined, [batch, storedInput, 2 * height, 2 * width]));
  return true;
}
