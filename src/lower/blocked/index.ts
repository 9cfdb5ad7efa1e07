/** The `blocked` lowering: the channel-blocked convolutions of ONNX Runtime's CPU provider, an internal domain of the pinned version. */
import type { Lowering } from '../lower.js';
import { nchwcDomain } from './layout.js';
import { BlockedWriter } from './writer.js';

/** @param block floats in a vector register: 8 or 16 */
export function blocked(block: number): Lowering {
  return {
    name: 'blocked',
    irVersion: 8,
    onnxRuntime: '1.30.0',
    opsets: { '': 17, [nchwcDomain]: 1 },
    block,
    writer: (emit, slice) => new BlockedWriter(emit, slice, block),
  };
}
