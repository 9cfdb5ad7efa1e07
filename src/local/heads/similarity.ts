/** Similarity heads: images of a class are to look alike to a module (Nøkland & Eidnes 2019, section 2.2, `sim`). */
import {
  add,
  div,
  matmul,
  mul,
  oneHot,
  reduceMean,
  reduceSum,
  reshape,
  sqrt,
  staticDim,
  staticShape,
  sub,
  type Value,
} from '../../graph/index.js';
import { conv2d } from '../../nn/index.js';
import type { Head } from './head.js';

/**
 * conv3×3 without bias to as many channels, of each the standard deviation over the positions: [N, C]. The loss is the mean squared error between
 * the similarities of these rows and those of the one-hot labels.
 *
 * @param label int64 [N]
 */
export function similarityHead(classes: number, label: Value): Head {
  return {
    kind: 'similarity',
    build: (context, features) => {
      const out = staticDim(features.shape, 1);
      return deviations(conv2d(context, 'conv1', features, { out, kernel: 3, padding: 1 }));
    },
    loss: (output) => {
      const error = sub(adjustedCosine(output), adjustedCosine(oneHot(label, classes)));
      return reduceMean(mul(error, error));
    },
  };
}

/**
 * Standard deviation (unbiased) of each channel over its positions. A map of one position has none: its values stand in.
 *
 * @param map [N, C, H, W]
 * @returns [N, C]
 */
function deviations(map: Value): Value {
  const [images, channels, height, width] = staticShape(map.shape) as [number, number, number, number];
  const positions = height * width;
  if (positions === 1) return reshape(map, [images, channels]);
  const centred = sub(map, reduceMean(map, [2, 3], true));
  const variance = mul(reduceSum(mul(centred, centred), [2, 3]), 1 / (positions - 1));
  return rootOf(variance);
}

/**
 * Adjusted cosine similarity of the rows, each less its own mean, with each other.
 *
 * @param rows [N, f]
 * @returns [N, N], from -1 to 1
 */
function adjustedCosine(rows: Value): Value {
  const centred = sub(rows, reduceMean(rows, [1], true));
  const unit = div(centred, rootOf(reduceSum(mul(centred, centred), [1], true)));
  return matmul(unit, unit, { transB: true });
}

/** √x with a slope at 0 too, where an empty patch or a row of equal numbers lies. */
const rootOf = (x: Value): Value => sqrt(add(x, 1e-12));
