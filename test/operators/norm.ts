/** Random batch normalisations of maps and of vectors. */
import fc from 'fast-check';
import type { Value } from '../../src/graph/index.js';
import type { NormOps } from '../../src/graph/ops/norm.js';
import { type CaseInput, type CasesFor, int, signed } from './case.js';

/** At least four elements per channel: the variance of fewer can be so small that nothing can be compared. */
const shapes = fc
  .record({ batch: int(1, 4), channels: int(1, 4), height: int(1, 4), width: int(1, 4), isMap: fc.boolean() })
  .map(({ batch, channels, height, width, isMap }) =>
    isMap ? [batch + 3, channels, height, width] : [batch + 3, channels],
  );

const cases = fc.record({ shape: shapes, epsilon: fc.constantFrom(1e-5, 1e-3, 0.1) });

const perChannel = (shape: readonly number[], values: CaseInput['values'], fixed = false): CaseInput => ({
  shape: [shape[1]!],
  values,
  fixed,
});

export const normCases: CasesFor<NormOps> = {
  BatchNormTrain: cases.map(({ shape, epsilon }) => ({
    attributes: { epsilon },
    inputs: [signed(shape), perChannel(shape, 'signed'), perChannel(shape, 'signed')],
  })),
  // With the statistics of x, as in training: a lowering may rely on them.
  BatchNormGrad: cases.map(({ shape, epsilon }) => ({
    attributes: {},
    inputs: [signed(shape), signed(shape), perChannel(shape, 'signed')],
    operands: ([dy, x, gamma]) => {
      const [, , , rstd, centred] = x!.graph.apply('BatchNormTrain', [x!, gamma!, gamma!], { epsilon });
      return [dy, centred, gamma, rstd] as Value[];
    },
  })),
  BatchNormInference: cases.map(({ shape, epsilon }) => ({
    attributes: { epsilon },
    inputs: [
      signed(shape),
      perChannel(shape, 'signed', true),
      perChannel(shape, 'signed', true),
      perChannel(shape, 'signed', true),
      perChannel(shape, 'positive', true),
    ],
  })),
};
