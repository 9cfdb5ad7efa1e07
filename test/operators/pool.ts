/** Random poolings and resizings, also to the same size, to one pixel and from one. */
import fc from 'fast-check';
import type { PoolOps } from '../../src/graph/ops/pool.js';
import { type CasesFor, int, pair, signed } from './case.js';

const images = fc.tuple(int(1, 3), int(1, 3));

const pooling = fc
  .record({ images, kernel: pair(1, 4), strides: pair(1, 4), extra: pair(0, 5) })
  .map(({ images, kernel, strides, extra }) => ({
    attributes: { kernel, strides },
    size: [kernel[0] + extra[0], kernel[1] + extra[1]] as const,
    outSize: [Math.floor(extra[0] / strides[0]) + 1, Math.floor(extra[1] / strides[1]) + 1],
    images,
  }));

const resizing = fc.record({ images, from: pair(1, 6), to: pair(1, 8) });

const global = fc.record({ images, size: pair(1, 5) });

export const poolCases: CasesFor<PoolOps> = {
  AveragePool: pooling.map(({ attributes, images, size }) => ({ attributes, inputs: [signed([...images, ...size])] })),
  AveragePoolGrad: pooling.map(({ attributes, images, size, outSize }) => ({
    attributes: { ...attributes, inputSize: size },
    inputs: [signed([...images, ...outSize])],
  })),
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
