/** Batch normalisation with pooled means and depthwise 1×1 convolutions. */
import type { Value } from '../../graph/index.js';
import { mapShape, type MapShape } from './layout.js';
import type { BlockedRules } from './rules.js';
import type { BlockedWriter } from './writer.js';

export const normRules: BlockedRules = {
  BatchNormTrain: (writer, node) => {
    const [x, gamma, beta] = node.inputs as [Value, Value, Value];
    const [y, mean, variance, rstd, centred] = node.outputs as [Value, Value, Value, Value, Value];
    const shape = mapShape(x);
    if (!shape || !writer.isBlocked(x)) return false;
    const { blocked, emit } = writer;
    const { channels } = shape;
    // Two passes: E[x²] - mean² cancels where the mean is large.
    const { average, shifted } = centre(writer, x, shape);
    const spread = blocked.channelProductMean(shifted, shifted, shape);
    const inverse = emit.op('Reciprocal', [
      emit.op('Sqrt', [emit.op('Add', [spread, blocked.scalar(node.attributes.epsilon)])]),
    ]);
    writer.setBlocked(centred, shifted);
    for (const [value, name] of [
      [mean, average],
      [variance, spread],
      [rstd, inverse],
    ] as const) {
      writer.setPlain(value, blocked.cutVector(name, channels));
    }
    const scale = blocked.mul(blocked.padVector(writer.plain(gamma), channels), inverse);
    const shift = blocked.padVector(writer.plain(beta), channels);
    writer.defer(y, {
      absorbs: ['sum', 'relu'],
      write: (extra) => blocked.affine(shifted, shape, scale, shift, extra),
    });
    return true;
  },
  // dx = γ·rstd·(dy - mean(dy) - x̂·mean(dy·x̂)): in brackets an affine map of x - mean, to which dy is added; the factor is left to who reads dx.
  BatchNormGrad: (writer, node) => {
    const [cotangent, centred, gamma, rstd] = node.inputs as [Value, Value, Value, Value];
    const [dx, dGamma, dBeta] = node.outputs as [Value, Value, Value];
    const shape = mapShape(centred);
    if (!shape || !writer.isBlocked(centred)) return false;
    const { blocked, emit } = writer;
    const { channels } = shape;
    const dy = writer.asBlocked(cotangent);
    const x = writer.asBlocked(centred);
    const inverse = blocked.padVector(writer.plain(rstd), channels);
    const meanDy = blocked.channelMean(dy, shape);
    const meanProduct = blocked.mul(blocked.channelProductMean(dy, x, shape), inverse);
    const scale = blocked.mul(blocked.padVector(writer.plain(gamma), channels), inverse);
    const slope = emit.op('Neg', [blocked.mul(meanProduct, inverse)]);
    const unscaled = blocked.affine(x, shape, slope, emit.op('Neg', [meanDy]), { sum: dy });
    const zeros = emit.floats(new Float32Array(blocked.padded(channels)));
    const scaled = blocked.affine(unscaled, shape, scale, zeros);
    emit.noteUnscaled(scaled, { name: unscaled, scale });
    writer.setBlocked(dx, scaled);
    const elements = blocked.scalar(Number(shape.batch) * shape.height * shape.width);
    writer.setPlain(dGamma, blocked.cutVector(blocked.mul(meanProduct, elements), channels));
    writer.setPlain(dBeta, blocked.cutVector(blocked.mul(meanDy, elements), channels));
    return true;
  },
  BatchNormInference: (writer, node) => {
    const [x, gamma, beta, mean, variance] = node.inputs as [Value, Value, Value, Value, Value];
    const shape = mapShape(x);
    if (!shape || !writer.isBlocked(x)) return false;
    const { blocked, emit } = writer;
    const { epsilon } = node.attributes;
    const inverse = emit.op('Reciprocal', [
      emit.op('Sqrt', [emit.op('Add', [writer.plain(variance), blocked.scalar(epsilon)])]),
    ]);
    const factor = blocked.mul(writer.plain(gamma), inverse);
    const offset = emit.op('Sub', [writer.plain(beta), blocked.mul(writer.plain(mean), factor)]);
    const scale = blocked.padVector(factor, shape.channels);
    const shift = blocked.padVector(offset, shape.channels);
    const input = writer.asBlocked(x);
    writer.defer(node.outputs[0]!, {
      absorbs: ['sum', 'relu'],
      write: (extra) => blocked.affine(input, shape, scale, shift, extra),
    });
    return true;
  },
};

/** The mean of each stored channel, and the map less it: where the map is a convolution's result, the mean is known before, and the convolution takes it off. */
function centre(writer: BlockedWriter, x: Value, shape: MapShape): { average: string; shifted: string } {
  const { blocked, emit } = writer;
  const held = writer.takeDeferred(x);
  if (held?.mean) {
    const average = held.mean();
    return { average, shifted: held.write({ shift: emit.op('Neg', [average]) }) };
  }
  const input = held?.write({}) ?? writer.asBlocked(x);
  const average = blocked.channelMean(input, shape);
  const ones = emit.floats(new Float32Array(blocked.padded(shape.channels)).fill(1));
  return { average, shifted: blocked.affine(input, shape, ones, emit.op('Neg', [average])) };
}
