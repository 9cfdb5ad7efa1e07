/**
 * The `ort-training` lowering: graphs for ONNX Runtime's training API (1.19.2, the last version that has it), with its own gradient
 * operators of the domain com.microsoft where its CPU build registers them, and standard ONNX everywhere else.
 *
 * `ConvTransposeGrad` and `ResizeGrad` have no CPU kernel there. `MaxPoolGrad` and `AveragePoolGrad` do, but as operators of the domain ai.onnx that ONNX does
 * not define and its checker refuses: what they do is written in standard operators as well.
 */
import { type Lowering, ruleWriter, type LoweringRules } from '../lower.js';
import { portableRules } from '../portable/index.js';
import { convRules } from './conv.js';
import { elementwiseRules } from './elementwise.js';
import { lossRules } from './loss.js';
import { batchNormRules } from './norm.js';
import { evaluationRules } from './evaluation.js';

export { blankOutputs, microsoft } from './operators.js';

/** ONNX Runtime's training API of exactly this version takes the artifacts. */
export const trainingRuntime = '1.19.2';

/** What the models of a training session have in common. */
export const trainingTarget = {
  irVersion: 8,
  onnxRuntime: trainingRuntime,
  opsets: { '': 17, 'com.microsoft': 1 },
} as const;

/** Forward and backward passes of a module, as its training model has them. */
export const ortTraining: Lowering = {
  ...trainingTarget,
  name: 'ort-training',
  // Rules are made anew for each slice: gradient operators take what the forward operators of the same slice keep.
  writer: (emit, slice) => {
    const rules: LoweringRules = {
      ...portableRules,
      ...elementwiseRules,
      ...convRules(slice),
      ...batchNormRules(),
      ...lossRules(),
    };
    return ruleWriter(rules)(emit, slice);
  },
};

/** Forward pass with running statistics instead of the batch's, where there are any, as an evaluation model has it. */
export const ortEvaluation: Lowering = {
  ...trainingTarget,
  name: 'ort-training',
  writer: (emit, slice) => ruleWriter({ ...portableRules, ...lossRules(), ...evaluationRules(slice) })(emit, slice),
};
