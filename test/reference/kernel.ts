/** What the reference interpreter knows about one operator. */
import type { OpAttributes, OpName } from '../../src/graph/index.js';
import type { Tensor } from './tensor.js';

/** Computes the outputs' elements, straight from the operator's definition. @param shapes of the outputs */
export type Kernel<O extends OpName> = (
  inputs: readonly Tensor[],
  attributes: OpAttributes[O],
  shapes: readonly (readonly number[])[],
) => readonly Float64Array[];

export type KernelsFor<Ops> = { readonly [O in keyof Ops & OpName]: Kernel<O> };
