/** Layers as functions: each declares its parameters and adds its nodes. */
import {
  add,
  batchNormInference,
  batchNormTrain,
  conv,
  linear,
  mul,
  reshape,
  staticDim,
  staticShape,
  type Value,
} from '../graph/index.js';
import { type LayerContext, statisticsMomentum } from './layer-context.js';
import type { Initializer } from './parameters.js';
import { resizedConv } from './resized-conv.js';

export interface Conv2dOptions {
  readonly out: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly padding?: number;
  /** `absorbed`: a parameter like any other, but a batch norm comes next, to which it makes no difference; it is not added and has gradient 0. */
  readonly bias?: boolean | 'absorbed';
  readonly groups?: number;
}

/**
 * 2-D convolution. Weight [out, in/groups, k, k] from N(0, sqrt(2/(k·k·out))) (He et al. 2015, fan-out), bias [out] from
 * ±1/sqrt(fan-in).
 */
export function conv2d(context: LayerContext, name: string, x: Value, options: Conv2dOptions): Value {
  const { stride = 1, padding = 0, groups = 1 } = options;
  return context.child(name, (here) => {
    const { weight, bias } = convParameters(here, staticDim(x.shape, 1) / groups, options);
    return conv(x, weight, { stride, padding, groups, ...(bias ? { bias } : {}) });
  });
}

/**
 * `conv2d` with odd kernel, stride 1 and half the kernel as padding, of a map that is resized to `size` before (bilinear, corners aligned), on maps with
 * the batch last.
 *
 * @param x [C, h, w, N]
 * @returns [out, H, W, N]
 */
export function resizedConv2d(
  context: LayerContext,
  name: string,
  x: Value,
  size: readonly [number, number],
  options: Pick<Conv2dOptions, 'out' | 'kernel' | 'bias'>,
): Value {
  return context.child(name, (here) => {
    const { weight, bias } = convParameters(here, staticDim(x.shape, 0), options);
    const y = resizedConv(x, weight, size);
    return bias ? add(y, reshape(bias, [options.out, 1, 1, 1])) : y;
  });
}

function convParameters(
  here: LayerContext,
  perGroup: number,
  { out, kernel, bias = false }: Conv2dOptions,
): { weight: Value; bias: Value | null } {
  const weight = here.parameter('weight', [out, perGroup, kernel, kernel], {
    kind: 'normal',
    std: Math.sqrt(2 / (kernel * kernel * out)),
  });
  const bound = 1 / Math.sqrt(perGroup * kernel * kernel);
  const declared = bias ? here.parameter('bias', [out], { kind: 'uniform', bound }) : null;
  return { weight, bias: bias === 'absorbed' ? null : declared };
}

/** Batch normalisation over [N, C, H, W] or [N, C]; γ starts at 1, β at 0, running mean 0, running variance 1. */
export function batchNorm(context: LayerContext, name: string, x: Value): Value {
  const channels = staticDim(x.shape, 1);
  return context.child(name, (here) => {
    const gamma = here.parameter('weight', [channels], { kind: 'constant', value: 1 });
    const beta = here.parameter('bias', [channels], { kind: 'constant', value: 0 });
    if (!here.mode.training) {
      const mean = here.statistic('running_mean', [channels], 0);
      return batchNormInference(x, gamma, beta, mean, here.statistic('running_var', [channels], 1));
    }
    const { y, mean, variance } = batchNormTrain(x, gamma, beta);
    trackStatistics(here, x, mean, variance);
    return y;
  });
}

/** Running statistics as PyTorch keeps them: momentum 0.1 per forward pass, the variance unbiased. */
function trackStatistics(here: LayerContext, x: Value, mean: Value, variance: Value): void {
  const tracking = here.mode.statistics;
  if (!tracking) return;
  const channels = staticDim(x.shape, 1);
  const elements = staticShape(x.shape).reduce((product, dim) => product * dim, 1) / channels;
  const unbiased = elements / Math.max(elements - 1, 1);
  const kept = (1 - statisticsMomentum) ** tracking.passes;
  const advance = (leaf: string, start: number, value: Value, factor: number): void => {
    const running = here.statistic(leaf, [channels], start);
    tracking.record(here.name(leaf), add(mul(running, kept), mul(value, (1 - kept) * factor)));
  };
  advance('running_mean', 0, mean, 1);
  advance('running_var', 1, variance, unbiased);
}

/**
 * Fully connected layer [N, in] → [N, out]; weight [out, in] and bias [out] from ±1/sqrt(in).
 * @param normal instead: the weight from N(0, std), the bias 0
 */
export function dense(
  context: LayerContext,
  name: string,
  x: Value,
  out: number,
  normal?: { readonly std: number },
): Value {
  const features = staticDim(x.shape, 1);
  const uniform: Initializer = { kind: 'uniform', bound: 1 / Math.sqrt(features) };
  return context.child(name, (here) =>
    linear(
      x,
      here.parameter('weight', [out, features], normal ? { kind: 'normal', ...normal } : uniform),
      here.parameter('bias', [out], normal ? { kind: 'constant', value: 0 } : uniform),
    ),
  );
}
