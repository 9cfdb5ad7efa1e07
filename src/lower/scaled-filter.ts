/** A convolution's filter with a factor for each output: what is left to its gradients by `Emitter.noteUnscaled`. */
import type { Emitter } from './emitter.js';

/** @param filter [O, C, kh, kw] @param scale [O] */
export function scaledFilter(emit: Emitter, filter: string, scale: string): string {
  return emit.op('Mul', [filter, emit.op('Reshape', [scale, emit.ints([-1, 1, 1, 1])])]);
}
