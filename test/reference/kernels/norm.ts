/** Reference kernels of batch normalisation. */
import type { NormOps } from '../../../src/graph/ops/norm.js';
import type { KernelsFor } from '../kernel.js';
import { count, type Tensor } from '../tensor.js';

/** The channel of each element of [N, C, H, W] or [N, C]. */
const channelOf = (shape: readonly number[], at: number): number => Math.floor(at / count(shape.slice(2))) % shape[1]!;

/** Mean over each channel of a function of an element's position. */
function channelMean(shape: readonly number[], f: (at: number) => number): Float64Array {
  const channels = shape[1]!;
  const elements = count(shape);
  const totals = new Float64Array(channels);
  for (let at = 0; at < elements; at++) totals[channelOf(shape, at)]! += f(at);
  return totals.map((total) => total / (elements / channels));
}

const perElement = ({ shape, data }: Tensor, f: (x: number, channel: number, at: number) => number): Float64Array =>
  data.map((x, at) => f(x, channelOf(shape, at), at));

export const normKernels: KernelsFor<NormOps> = {
  BatchNormTrain: ([x, gamma, beta], { epsilon }) => {
    const { shape, data } = x!;
    const mean = channelMean(shape, (at) => data[at]!);
    const variance = channelMean(shape, (at) => (data[at]! - mean[channelOf(shape, at)]!) ** 2);
    const rstd = variance.map((v) => 1 / Math.sqrt(v + epsilon));
    const y = perElement(x!, (value, c) => (value - mean[c]!) * rstd[c]! * gamma!.data[c]! + beta!.data[c]!);
    return [y, mean, variance, rstd, perElement(x!, (value, c) => value - mean[c]!)];
  },
  // With x̂ = (x - mean)·rstd over m elements: dβ = Σ dy, dγ = Σ dy·x̂, dx = γ·rstd·(dy - dβ/m - x̂·dγ/m).
  BatchNormGrad: ([dy, centred, gamma, rstd]) => {
    const normalised = perElement(centred!, (value, c) => value * rstd!.data[c]!);
    const meanDy = channelMean(dy!.shape, (at) => dy!.data[at]!);
    const meanProduct = channelMean(dy!.shape, (at) => dy!.data[at]! * normalised[at]!);
    const m = count(dy!.shape) / dy!.shape[1]!;
    const dx = perElement(
      dy!,
      (value, c, at) => gamma!.data[c]! * rstd!.data[c]! * (value - meanDy[c]! - normalised[at]! * meanProduct[c]!),
    );
    return [dx, meanProduct.map((value) => value * m), meanDy.map((value) => value * m)];
  },
  BatchNormInference: ([x, gamma, beta, mean, variance], { epsilon }) => [
    perElement(
      x!,
      (value, c) =>
        ((value - mean!.data[c]!) / Math.sqrt(variance!.data[c]! + epsilon)) * gamma!.data[c]! + beta!.data[c]!,
    ),
  ],
};
