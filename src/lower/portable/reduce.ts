/** Sums and means, in standard ONNX (opset 17: axes are an input of ReduceSum and an attribute of ReduceMean). */
import type { ReduceOps } from '../../graph/ops/reduce.js';
import type { LoweringFor } from '../lower.js';

export const reduceLowering: LoweringFor<ReduceOps> = {
  ReduceSum: (emit, { attributes: { axes, keepDims } }, [x]) => [
    axes.length === 0 ? x! : emit.op('ReduceSum', [x!, emit.ints(axes)], { keepdims: keepDims ? 1 : 0 }),
  ],
  ReduceMean: (emit, { attributes: { axes, keepDims } }, [x]) => [
    axes.length === 0 ? x! : emit.op('ReduceMean', [x!], { axes, keepdims: keepDims ? 1 : 0 }),
  ],
};
