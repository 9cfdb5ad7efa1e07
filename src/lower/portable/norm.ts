/** Batch normalisation from plain means, since the training mode of ONNX's own operator is missing on some devices. */
import { type Shape, staticDim } from '../../graph/index.js';
import type { NormOps } from '../../graph/ops/norm.js';
import { f, type Emitter } from '../emitter.js';
import type { LoweringFor } from '../lower.js';
import { mean } from './reduce.js';

const batchAxes = (rank: number): number[] => (rank === 4 ? [0, 2, 3] : [0]);

const channelMean = (emit: Emitter, x: string, rank: number): string => mean(emit, x, batchAxes(rank));

/** scale·x + shift per channel: for maps, inference normalisation with mean 0, variance 1 is the fastest such operator on one thread, which is all it uses. */
function affine(emit: Emitter, x: string, scale: string, shift: string, shape: Shape): string {
  if (shape.length === 2) return emit.op('Add', [emit.op('Mul', [x, scale]), shift]);
  const channels = staticDim(shape, 1);
  const zeros = emit.floats(new Float32Array(channels));
  const ones = emit.floats(new Float32Array(channels).fill(1));
  return emit.op('BatchNormalization', [x, scale, shift, zeros, ones], { epsilon: f(0) });
}

/** A vector [C] as it stands beside maps, or beside vectors. */
const perChannel = (emit: Emitter, vector: string, shape: Shape): string =>
  shape.length === 2 ? vector : emit.op('Reshape', [vector, emit.ints([staticDim(shape, 1), 1, 1])]);

export const normLowering: LoweringFor<NormOps> = {
  BatchNormTrain: (emit, { inputs: [x], attributes: { epsilon } }, [input, gamma, beta]) => {
    const { shape } = x!;
    const rank = shape.length;
    const average = channelMean(emit, input!, rank);
    // Two passes: E[x²] - mean² cancels where the mean is large.
    const centred = emit.op('Sub', [input!, perChannel(emit, average, shape)]);
    const variance = channelMean(emit, emit.op('Mul', [centred, centred]), rank);
    const rstd = emit.op('Reciprocal', [emit.op('Sqrt', [emit.op('Add', [variance, emit.floats([epsilon], [])])])]);
    const y = affine(emit, centred, emit.op('Mul', [gamma!, rstd]), beta!, shape);
    return [y, average, variance, rstd, centred];
  },
  // dx = γ·rstd·(dy - mean(dy) - x̂·mean(dy·x̂)): in brackets an affine map of x - mean, to which dy is added; the factor may be left to who reads dx.
  BatchNormGrad: (emit, { inputs: [, x] }, [dy, centred, gamma, rstd]) => {
    const { shape } = x!;
    const rank = shape.length;
    const count = batchAxes(rank).reduce((product, axis) => product * staticDim(shape, axis), 1);
    const elements = emit.floats([count], []);
    const meanDy = channelMean(emit, dy!, rank);
    const meanDyX = channelMean(emit, emit.op('Mul', [dy!, centred!]), rank);
    const meanDyNormalised = emit.op('Mul', [meanDyX, rstd!]);
    const slope = emit.op('Neg', [emit.op('Mul', [meanDyNormalised, rstd!])]);
    const unscaled = emit.op('Add', [dy!, affine(emit, centred!, slope, emit.op('Neg', [meanDy]), shape)]);
    const scale = emit.op('Mul', [gamma!, rstd!]);
    const scaled = emit.op('Mul', [unscaled, perChannel(emit, scale, shape)]);
    emit.noteUnscaled(scaled, { name: unscaled, scale });
    return [scaled, emit.op('Mul', [meanDyNormalised, elements]), emit.op('Mul', [meanDy, elements])];
  },
  BatchNormInference: (emit, { attributes: { epsilon } }, inputs) => [
    emit.op('BatchNormalization', inputs, { epsilon: f(epsilon) }),
  ],
};
