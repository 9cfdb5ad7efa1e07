/** Operators that move elements, in standard ONNX. */
import type { LayoutOps } from '../../graph/ops/layout.js';
import type { Shape } from '../../graph/index.js';
import type { LoweringFor } from '../lower.js';

/** A shape for Reshape: a dimension known only at run time is inferred. */
export const reshapeTarget = (shape: Shape): number[] => shape.map((dim) => (typeof dim === 'number' ? dim : -1));

export const layoutLowering: LoweringFor<LayoutOps> = {
  Reshape: (emit, { attributes: { shape } }, [x]) => [emit.op('Reshape', [x!, emit.ints(reshapeTarget(shape))])],
  Transpose: (emit, { attributes: { perm } }, [x]) => [emit.op('Transpose', [x!], { perm })],
  Slice: (emit, { attributes: { axes, starts, ends } }, [x]) => [
    emit.op('Slice', [x!, emit.ints(starts), emit.ints(ends), emit.ints(axes)]),
  ],
  Pad: (emit, { attributes: { before, after } }, [x]) => [emit.op('Pad', [x!, emit.ints([...before, ...after])])],
  Concat: (emit, { attributes: { axis } }, inputs) => [emit.op('Concat', inputs, { axis })],
  Expand: (emit, { attributes: { shape } }, [x]) => [
    // 1 leaves a dimension known only at run time as it is.
    emit.op('Expand', [x!, emit.ints(shape.map((dim) => (typeof dim === 'number' ? dim : 1)))]),
  ],
  // A reshape to the same shape, whose shape is only known once the sizes of the others are.
  After: (emit, { inputs: [value] }, [x, ...others]) => {
    const sizes = others.map((other) => emit.op('Size', [other]));
    const total = sizes.reduce((sum, size) => emit.op('Add', [sum, size]));
    const nothing = emit.op('Mul', [total, emit.ints([0], [])]);
    return [emit.op('Reshape', [x!, emit.op('Add', [emit.ints(reshapeTarget(value!.shape)), nothing])])];
  },
  OneHot: (emit, { attributes: { classes } }, [labels]) => [
    emit.op('OneHot', [labels!, emit.ints([classes]), emit.floats([0, 1])], { axis: 1 }),
  ],
};
