/** The lowering of exported models: few, old and common operators, so that any runtime loads them and reads them as a network. */
import { type Lowering, portable, portableRules, ruleWriter } from '../lower/index.js';

/** ONNX 1.8: operator set 13, format 7. Tried from ONNX Runtime 1.9 on. */
export const inference: Lowering = {
  ...portable,
  name: 'inference',
  onnxRuntime: '>=1.9',
  irVersion: 7,
  opsets: { '': 13 },
  writer: ruleWriter({
    ...portableRules,
    GlobalAveragePool: (emit, _node, [x]) => [emit.op('Flatten', [emit.op('GlobalAveragePool', [x!])], { axis: 1 })],
  }),
};
