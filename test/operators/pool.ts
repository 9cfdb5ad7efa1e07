/** Random poolings and resizings, also to the same size, to one pixel and from one. */
import fc from 'fast-check';
import type { PoolOps } from '../../src/graph/ops/pool.js';
import { type CasesFor, int, pair, signed, type ValueRange } from './case.js';

const images = fc.tuple(int(1, 3), int(1, 3));

const pooling = fc
  .record({ images, kernel: pair(1, 4), strides: pair(1, 4), extra: pair(0, 5) })
  .map(({ images, kernel, strides, extra }) => ({
    attributes: { kernel, strides },
    size: [kernel[0] + extra[0], kernel[1] + extra[1]] as const,
    outSize: [Math.floor(extra[0] / strides[0]) + 1, Math.floor(extra[1] / strides[1]) + 1],
    images,
  }));

/** Strides up to the kernel, padding below it, pixels at the edge that no window meets. */
const maxima = fc
  .record({
    images,
    kernel: pair(1, 4),
    strides: pair(1, 4),
    pads: fc.tuple(int(0, 3), int(0, 3), int(0, 3), int(0, 3)),
    extra: pair(0, 6),
  })
  .map(({ images, kernel, strides, pads, extra }) => {
    const steps = strides.map((stride, i) => Math.min(stride, kernel[i]!)) as [number, number];
    const padding = pads.map((amount, i) => Math.min(amount, kernel[i % 2]! - 1)) as [number, number, number, number];
    const total = [padding[0] + padding[2], padding[1] + padding[3]];
    const size = [0, 1].map((i) => Math.max(1, kernel[i]! - total[i]!) + extra[i]!);
    const outSize = [0, 1].map((i) => Math.floor((size[i]! + total[i]! - kernel[i]!) / steps[i]!) + 1);
    return {
      attributes: { kernel, strides: steps, pads: padding },
      x: [...images, ...size],
      y: [...images, ...outSize],
    };
  });

const resizing = fc.record({ images, from: pair(1, 6), to: pair(1, 8) });

const global = fc.record({ images, size: pair(1, 5) });

export const poolCases: CasesFor<PoolOps> = {
  AveragePool: pooling.map(({ attributes, images, size }) => ({ attributes, inputs: [signed([...images, ...size])] })),
  AveragePoolGrad: pooling.map(({ attributes, images, size, outSize }) => ({
    attributes: { ...attributes, inputSize: size },
    inputs: [signed([...images, ...outSize])],
  })),
  MaxPool: maxima.map(({ attributes, x }) => ({ attributes, inputs: [signed(x)] })),
  // Rectified maps have windows of zeros: ties.
  MaxPoolGrad: maxima.chain(({ attributes, x, y }) =>
    fc.constantFrom<ValueRange>('signed', 'rectified').map((values) => ({
      attributes,
      inputs: [signed(y), { shape: x, values, fixed: true }],
      operands: ([dy, map]) => [dy!, map!, map!.graph.apply('MaxPool', [map!], attributes)[0]!],
    })),
  ),
  GlobalAveragePool: global.map(({ images, size }) => ({ attributes: {}, inputs: [signed([...images, ...size])] })),
  GlobalAveragePoolGrad: global.map(({ images, size }) => ({
    attributes: { inputSize: size },
    inputs: [signed(images)],
  })),
  ResizeBilinear: resizing.map(({ images, from, to }) => ({
    attributes: { size: to },
    inputs: [signed([...images, ...from])],
  })),
  ResizeBilinearGrad: resizing.map(({ images, from, to }) => ({
    attributes: { inputSize: from },
    inputs: [signed([...images, ...to])],
  })),
};
