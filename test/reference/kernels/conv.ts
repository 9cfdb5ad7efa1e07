/** Reference kernels of convolution: y is linear in x and in the filter, and all three operators walk the same products. */
import type { ConvAttributes, ConvOps } from '../../../src/graph/ops/conv.js';
import type { KernelsFor } from '../kernel.js';
import { count, offset } from '../tensor.js';

type Shape4 = readonly [number, number, number, number];

export const convKernels: KernelsFor<ConvOps> = {
  Conv: ([x, weight, bias], attributes, [shape]) => {
    const y = new Float64Array(count(shape!));
    forEachProduct(attributes, x!.shape, weight!.shape, shape!, (atX, atWeight, atY) => {
      y[atY]! += x!.data[atX]! * weight!.data[atWeight]!;
    });
    if (!bias) return [y];
    const [, channels, height, width] = shape as Shape4;
    return [y.map((value, at) => value + bias.data[Math.floor(at / (height * width)) % channels]!)];
  },
  ConvInputGrad: ([dy, weight], attributes, [shape]) => {
    const dx = new Float64Array(count(shape!));
    forEachProduct(attributes, shape!, weight!.shape, dy!.shape, (atX, atWeight, atY) => {
      dx[atX]! += dy!.data[atY]! * weight!.data[atWeight]!;
    });
    return [dx];
  },
  ConvWeightGrad: ([x, dy], attributes, [shape]) => {
    const dw = new Float64Array(count(shape!));
    forEachProduct(attributes, x!.shape, shape!, dy!.shape, (atX, atWeight, atY) => {
      dw[atWeight]! += dy!.data[atY]! * x!.data[atX]!;
    });
    return [dw];
  },
};

/** Visits each product x[atX]·weight[atWeight] that is a term of y[atY]. */
function forEachProduct(
  { strides, pads, groups }: ConvAttributes,
  x: readonly number[],
  weight: readonly number[],
  y: readonly number[],
  visit: (atX: number, atWeight: number, atY: number) => void,
): void {
  const [batch, outputs, outHeight, outWidth] = y as Shape4;
  const [, perGroup, kh, kw] = weight as Shape4;
  for (let n = 0; n < batch; n++)
    for (let o = 0; o < outputs; o++)
      for (let i = 0; i < perGroup; i++)
        for (let oh = 0; oh < outHeight; oh++)
          for (let ow = 0; ow < outWidth; ow++)
            for (let r = 0; r < kh; r++)
              for (let s = 0; s < kw; s++) {
                const group = Math.floor(o / (outputs / groups));
                const h = oh * strides[0] + r - pads[0];
                const w = ow * strides[1] + s - pads[1];
                if (h < 0 || h >= x[2]! || w < 0 || w >= x[3]!) continue;
                visit(
                  offset(x, [n, group * perGroup + i, h, w]),
                  offset(weight, [o, i, r, s]),
                  offset(y, [n, o, oh, ow]),
                );
              }
}
