/** What operators of ONNX Runtime's own domain need to be written. */
import type { Emitter } from '../emitter.js';

/** Domain of ONNX Runtime's own operators. */
export const microsoft = 'com.microsoft';

/** Leaves out outputs of the node that was emitted last, so that its kernel need not compute them. @returns the names that stay, '' for the others */
export function blankOutputs(emit: Emitter, wanted: readonly boolean[]): readonly string[] {
  const node = emit.nodes.pop()!;
  const outputs = node.outputs.map((output, i) => (wanted[i] ? output : ''));
  while (outputs.at(-1) === '') outputs.pop();
  emit.nodes.push({ ...node, outputs });
  return outputs;
}
