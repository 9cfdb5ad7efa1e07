/** Random convolutions: any stride, padding, kernel and number of groups, padding wider than the kernel, wide maps. */
import fc from 'fast-check';
import type { ConvOps } from '../../src/graph/ops/conv.js';
import { type CasesFor, int, pair, signed } from './case.js';

const geometry = fc
  .record({
    batch: int(1, 3),
    groups: fc.oneof(fc.constant(1), int(1, 3)),
    inPerGroup: int(1, 3),
    outPerGroup: int(1, 3),
    kernel: pair(1, 4),
    strides: fc.oneof(fc.constant<[number, number]>([1, 1]), pair(1, 3)),
    pads: fc.tuple(int(0, 3), int(0, 3), int(0, 3), int(0, 3)),
    extra: fc.tuple(int(0, 5), fc.oneof({ weight: 3, arbitrary: int(0, 5) }, { weight: 1, arbitrary: int(22, 40) })),
    bias: fc.boolean(),
  })
  .map(({ batch, groups, inPerGroup, outPerGroup, kernel, strides, pads, extra, bias }) => {
    const padding = [pads[0] + pads[2], pads[1] + pads[3]] as const;
    const size = [0, 1].map((i) => Math.max(1, kernel[i]! - padding[i]!) + extra[i]!) as [number, number];
    const outSize = [0, 1].map((i) => Math.floor((size[i]! + padding[i]! - kernel[i]!) / strides[i]!) + 1);
    return {
      attributes: { strides, pads, groups },
      kernel,
      size,
      bias,
      x: [batch, groups * inPerGroup, ...size],
      weight: [groups * outPerGroup, inPerGroup, ...kernel],
      y: [batch, groups * outPerGroup, ...outSize],
    };
  });

export const convCases: CasesFor<ConvOps> = {
  Conv: geometry.map(({ attributes, x, weight, bias }) => ({
    attributes,
    inputs: [signed(x), signed(weight), ...(bias ? [signed(weight.slice(0, 1))] : [])],
  })),
  ConvInputGrad: geometry.map(({ attributes, size, weight, y }) => ({
    attributes: { ...attributes, inputSize: size },
    inputs: [signed(y), signed(weight)],
  })),
  ConvWeightGrad: geometry.map(({ attributes, kernel, x, y }) => ({
    attributes: { ...attributes, kernel },
    inputs: [signed(x), signed(y)],
  })),
};
