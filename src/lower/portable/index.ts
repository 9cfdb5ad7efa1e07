/** The `portable` lowering: standard ai.onnx operators only, for any execution provider. */
import { type Lowering, type LoweringRules, ruleWriter } from '../lower.js';
import { convLowering } from './conv.js';
import { elementwiseLowering } from './elementwise.js';
import { layoutLowering } from './layout.js';
import { linearLowering } from './linear.js';
import { lossLowering } from './loss.js';
import { normLowering } from './norm.js';
import { poolLowering } from './pool.js';
import { reduceLowering } from './reduce.js';

/** How standard ONNX writes each operator. */
export const portableRules: LoweringRules = {
  ...elementwiseLowering,
  ...layoutLowering,
  ...reduceLowering,
  ...linearLowering,
  ...convLowering,
  ...normLowering,
  ...poolLowering,
  ...lossLowering,
};

export const portable: Lowering = {
  name: 'portable',
  irVersion: 8,
  onnxRuntime: '>=1.20',
  opsets: { '': 17 },
  writer: ruleWriter(portableRules),
};
