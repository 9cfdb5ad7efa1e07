/** Pooling, cutting and joining of blocked maps. */
import type { Value } from '../../graph/index.js';
import { maxPoolGrad } from '../max-pool-grad.js';
import { mapShape } from './layout.js';
import type { BlockedRules } from './rules.js';

/** Axes of height and width; batch and channels are left to the portable lowering. */
const isSpatial = (axis: number): boolean => axis === 2 || axis === 3;

export const mapRules: BlockedRules = {
  GlobalAveragePool: (writer, node) => {
    const [x] = node.inputs as [Value];
    const shape = mapShape(x);
    if (!shape || !writer.isBlocked(x) || shape.channels % writer.blocked.block !== 0) return false;
    const pooled = writer.blocked.op('GlobalAveragePool', [writer.asBlocked(x)]);
    writer.setPlain(node.outputs[0]!, writer.blocked.reshape(pooled, [shape.batch, shape.channels]));
    return true;
  },
  GlobalAveragePoolGrad: (writer, node) => {
    const [cotangent] = node.inputs as [Value];
    const shape = mapShape(node.outputs[0]!)!;
    const { blocked, emit } = writer;
    const { batch, channels, height, width } = shape;
    if (channels % blocked.block !== 0 || typeof batch !== 'number') return false;
    const scaled = blocked.mul(writer.plain(cotangent), blocked.scalar(1 / (height * width)));
    const blocks = channels / blocked.block;
    writer.defer(node.outputs[0]!, {
      absorbs: ['mask'],
      write: ({ mask }) => {
        if (mask === undefined) {
          const pixels = [batch, blocks, height * width, blocked.block];
          const pixel = blocked.reshape(scaled, [batch, blocks, 1, blocked.block]);
          return blocked.gather(emit.op('Expand', [pixel, emit.ints(pixels)]), shape);
        }
        // One value for each image and channel: with these as the channels of one image, a depthwise 1×1 convolution.
        const channelsOfAll = batch * channels;
        const filter = blocked.reshape(scaled, [channelsOfAll, 1, 1, 1]);
        const one = blocked.reshape(mask, [1, channelsOfAll, height, width]);
        const scaledMask = blocked.op('Conv', [one, filter], { kernel_shape: [1, 1], group: channelsOfAll });
        return blocked.reshape(scaledMask, [batch, channels, height, width]);
      },
    });
    return true;
  },
  AveragePool: (writer, node) => {
    const [x] = node.inputs as [Value];
    if (!mapShape(x) || !writer.isBlocked(x)) return false;
    const { kernel, strides } = node.attributes;
    const pooled = writer.blocked.op('AveragePool', [writer.asBlocked(x)], { kernel_shape: kernel, strides });
    writer.setBlocked(node.outputs[0]!, pooled);
    return true;
  },
  MaxPool: (writer, node) => {
    const [x] = node.inputs as [Value];
    if (!mapShape(x) || !writer.isBlocked(x)) return false;
    const { kernel, strides, pads } = node.attributes;
    const pooled = writer.blocked.op('MaxPool', [writer.asBlocked(x)], { kernel_shape: kernel, strides, pads });
    writer.setBlocked(node.outputs[0]!, pooled);
    return true;
  },
  MaxPoolGrad: (writer, node) => {
    const [cotangent, x, y] = node.inputs as [Value, Value, Value];
    const [from, to] = [mapShape(x), mapShape(y)];
    if (!from || !to || !writer.isBlocked(x) || typeof from.batch !== 'number') return false;
    const { blocked, emit } = writer;
    const map = {
      images: [from.batch, blocked.padded(from.channels) / blocked.block],
      size: [from.height, from.width],
      pooled: [to.height, to.width],
      block: blocked.block,
    } as const;
    const gradient = maxPoolGrad(emit, map, node.attributes, [
      blocked.spread(writer.asBlocked(cotangent), to),
      blocked.spread(writer.asBlocked(x), from),
      blocked.spread(writer.asBlocked(y), to),
    ]);
    writer.setBlocked(node.outputs[0]!, blocked.gather(gradient, from));
    return true;
  },
  /** The gradient of a convolution's bias: a sum over all but the channels. */
  ReduceSum: (writer, node) => {
    const [x] = node.inputs as [Value];
    const shape = mapShape(x);
    const { axes, keepDims } = node.attributes;
    if (!shape || !writer.isBlocked(x) || keepDims || axes.join() !== '0,2,3') return false;
    const { blocked } = writer;
    const elements = Number(shape.batch) * shape.height * shape.width;
    const sum = blocked.mul(blocked.channelMean(writer.asBlocked(x), shape), blocked.scalar(elements));
    writer.setPlain(node.outputs[0]!, blocked.cutVector(sum, shape.channels));
    return true;
  },
  Slice: (writer, node) => {
    const [x] = node.inputs as [Value];
    const shape = mapShape(x);
    const { axes, starts, ends } = node.attributes;
    if (!shape || !writer.isBlocked(x) || !axes.every(isSpatial)) return false;
    const { blocked, emit } = writer;
    const spread = blocked.spread(writer.asBlocked(x), shape);
    const cut = emit.op('Slice', [spread, emit.ints(starts), emit.ints(ends), emit.ints(axes)]);
    writer.setBlocked(node.outputs[0]!, blocked.gather(cut, mapShape(node.outputs[0]!)!));
    return true;
  },
  Concat: (writer, node) => {
    const shapes = node.inputs.map(mapShape);
    const { axis } = node.attributes;
    if (!isSpatial(axis) || !shapes.every((shape) => shape !== null)) return false;
    if (!node.inputs.every((input) => writer.isBlocked(input))) return false;
    const { blocked, emit } = writer;
    const parts = node.inputs.map((input, i) => blocked.spread(writer.asBlocked(input), shapes[i]!));
    writer.setBlocked(
      node.outputs[0]!,
      blocked.gather(emit.op('Concat', parts, { axis }), mapShape(node.outputs[0]!)!),
    );
    return true;
  },
  After: (writer, node) => {
    const [x, ...others] = node.inputs as [Value, ...Value[]];
    const shape = mapShape(x);
    if (!shape || !writer.isBlocked(x)) return false;
    const { blocked, emit } = writer;
    // Sizes are the same in every layout; what is at hand is asked.
    const sizes = others.map((other) =>
      emit.op('Size', [writer.isBlocked(other) ? writer.asBlocked(other) : writer.plain(other)]),
    );
    const total = sizes.reduce((sum, size) => emit.op('Add', [sum, size]));
    const target = [Number(shape.batch), blocked.padded(shape.channels), shape.height, shape.width];
    const nothing = emit.op('Mul', [total, emit.ints([0], [])]);
    const waiting = emit.op('Reshape', [writer.asBlocked(x), emit.op('Add', [emit.ints(target), nothing])]);
    writer.setBlocked(node.outputs[0]!, waiting);
    return true;
  },
};
