/** Batch normalisation with pooled means and depthwise 1×1 convolutions. */
import type { Value } from '../../graph/index.js';
import { mapShape } from './layout.js';
import { normMap, type NormMap } from './norm-map.js';
import type { BlockedRules } from './rules.js';
import type { BlockedWriter } from './writer.js';

export const normRules: BlockedRules = {
  BatchNormTrain: (writer, node) => {
    const [x, gamma, beta] = node.inputs as [Value, Value, Value];
    const [y, mean, variance, rstd, centred] = node.outputs as [Value, Value, Value, Value, Value];
    const map = normMap(writer, x);
    if (!map) return false;
    const { blocked, emit } = writer;
    // Two passes: E[x²] - mean² cancels where the mean is large.
    const { average, shifted } = centre(writer, x, map);
    const spread = map.productMean(shifted, shifted);
    const inverse = emit.op('Reciprocal', [
      emit.op('Sqrt', [emit.op('Add', [spread, blocked.scalar(node.attributes.epsilon)])]),
    ]);
    map.write(centred, shifted);
    for (const [value, name] of [
      [mean, average],
      [variance, spread],
      [rstd, inverse],
    ] as const) {
      writer.setPlain(value, map.cut(name));
    }
    const scale = blocked.mul(map.pad(writer.plain(gamma)), inverse);
    const shift = map.pad(writer.plain(beta));
    map.defer(y, (extra) => map.affine(shifted, scale, shift, extra));
    return true;
  },
  // dx = γ·rstd·(dy - mean(dy) - x̂·mean(dy·x̂)): in brackets an affine map of x - mean, to which dy is added; the factor is left to who reads dx.
  BatchNormGrad: (writer, node) => {
    const [cotangent, centred, gamma, rstd] = node.inputs as [Value, Value, Value, Value];
    const [dx, dGamma, dBeta] = node.outputs as [Value, Value, Value];
    const map = normMap(writer, centred);
    if (!map) return false;
    const { blocked, emit } = writer;
    const dy = map.read(cotangent);
    const x = map.read(centred);
    const inverse = map.pad(writer.plain(rstd));
    const meanDy = map.mean(dy);
    const meanProduct = blocked.mul(map.productMean(dy, x), inverse);
    const scale = blocked.mul(map.pad(writer.plain(gamma)), inverse);
    const slope = emit.op('Neg', [blocked.mul(meanProduct, inverse)]);
    const unscaled = map.affine(x, slope, emit.op('Neg', [meanDy]), { sum: dy });
    const scaled = map.affine(unscaled, scale, emit.floats(new Float32Array(map.stored)));
    map.noteUnscaled(scaled, unscaled, scale);
    map.write(dx, scaled);
    const { batch, height, width } = mapShape(centred)!;
    const elements = blocked.scalar(Number(batch) * height * width);
    writer.setPlain(dGamma, map.cut(blocked.mul(meanProduct, elements)));
    writer.setPlain(dBeta, map.cut(blocked.mul(meanDy, elements)));
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
function centre(writer: BlockedWriter, x: Value, map: NormMap): { average: string; shifted: string } {
  const { emit } = writer;
  const held = writer.takeDeferred(x);
  if (held?.mean) {
    const average = held.mean();
    return { average, shifted: held.write({ shift: emit.op('Neg', [average]) }) };
  }
  const input = held?.write({}) ?? map.read(x);
  const average = map.mean(input);
  const ones = emit.floats(new Float32Array(map.stored).fill(1));
  return { average, shifted: map.affine(input, ones, emit.op('Neg', [average])) };
}
