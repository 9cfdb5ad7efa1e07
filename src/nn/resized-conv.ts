/**
 * Convolution of a bilinearly resized map that is never made.
 *
 * Resizing and convolving are linear and act along rows and columns separately. So the filter's taps can be applied at the low resolution, and
 * what they give be contracted along rows and columns with constant matrices that interpolate and shift:
 *
 *     y[o, p, q] = Σ_(kh,i) R[p, (kh,i)] · Σ_(kw,j) S[q, (kw,j)] · Σ_c weight[o, c, kh, kw] · x[c, i, j]
 *     R[p, (kh,i)] = interpolation[p + kh - ⌊k/2⌋, i], zero outside the resized map; S likewise
 *
 * With the images as the last axis all of it are products of wide matrices.
 */
import { matmul, reshape, staticShape, transpose, type Value } from '../graph/index.js';
import { interpolationMatrix } from '../graph/constant-matrices.js';

/**
 * Convolution of odd size k and stride 1, ⌊k/2⌋ zeros around, of `x` resized to `size` with corners aligned.
 *
 * @param x [C, h, w, N], the batch last
 * @param weight [O, C, k, k]
 * @returns [O, H, W, N]
 */
export function resizedConv(x: Value, weight: Value, [height, width]: readonly [number, number]): Value {
  const [channels, rows, columns, images] = staticShape(x.shape) as [number, number, number, number];
  const [out, , kernel] = staticShape(weight.shape) as [number, number, number, number];
  const line = columns * images;
  const taps = reshape(transpose(weight, [0, 3, 2, 1]), [out * kernel * kernel, channels]);
  const mixed = matmul(taps, reshape(x, [channels, rows * line]));
  const tall = matmul(
    shiftedInterpolation(x, rows, height, kernel),
    reshape(mixed, [out * kernel, kernel * rows, line]),
  );
  const turned = transpose(reshape(tall, [out, kernel, height, line]), [0, 2, 1, 3]);
  const wide = matmul(
    shiftedInterpolation(x, columns, width, kernel),
    reshape(turned, [out * height, kernel * columns, images]),
  );
  return reshape(wide, [out, height, width, images]);
}

/** Constant [output, kernel · input]: row p holds, tap after tap, the interpolation's row p + tap - ⌊kernel/2⌋. */
function shiftedInterpolation({ graph }: Value, input: number, output: number, kernel: number): Value {
  const interpolation = interpolationMatrix(input, output);
  const data = new Float32Array(output * kernel * input);
  for (let row = 0; row < output; row++) {
    for (let tap = 0; tap < kernel; tap++) {
      const source = row + tap - (kernel >> 1);
      if (source < 0 || source >= output) continue;
      const taken = interpolation.subarray(source * input, (source + 1) * input);
      data.set(taken, (row * kernel + tap) * input);
    }
  }
  return graph.constant({ dtype: 'float32', shape: [output, kernel * input], data });
}
