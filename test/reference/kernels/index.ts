/** The table of all reference kernels. */
import type { OpName } from '../../../src/graph/index.js';
import type { Kernel } from '../kernel.js';
import { convKernels } from './conv.js';
import { elementwiseKernels } from './elementwise.js';
import { layoutKernels } from './layout.js';
import { linearKernels } from './linear.js';
import { lossKernels } from './loss.js';
import { normKernels } from './norm.js';
import { poolKernels } from './pool.js';
import { reduceKernels } from './reduce.js';

export const kernels: { readonly [O in OpName]: Kernel<O> } = {
  ...elementwiseKernels,
  ...layoutKernels,
  ...reduceKernels,
  ...linearKernels,
  ...convKernels,
  ...normKernels,
  ...poolKernels,
  ...lossKernels,
};
