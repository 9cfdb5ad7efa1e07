/** Decoder heads: rebuild the image from a module's features (InfoPro, Wang et al. 2021, section 3.2). */
import { InputError } from '../../errors.js';
import {
  add,
  binaryCrossEntropy,
  mul,
  relu,
  reshape,
  staticDim,
  staticShape,
  transpose,
  type Value,
} from '../../graph/index.js';
import { batchNorm, conv2d, type LayerContext, resizedConv2d } from '../../nn/index.js';
import { cropPatch, type Head, type Patch } from './head.js';

/**
 * Bilinear resize to the patch of the image, conv3×3 to 12·widen channels + BN + ReLU, conv3×3 to the image's channels, sigmoid; binary
 * cross-entropy against that patch of the image in [0, 1]. The output is the logits: the loss holds the sigmoid.
 *
 * @param target the image in [0, 1], [N, C, H, W]
 */
export function decoderHead(widen: number, target: () => Value): Head {
  return {
    kind: 'decoder',
    build: (context: LayerContext, features, grid) => {
      const [channels, height, width] = staticShape(target().shape.slice(1)) as [number, number, number];
      const size = [height / grid, width / grid] as const;
      if (!size.every(Number.isInteger)) {
        throw new InputError(
          'PATCHES_IMAGE_SIZE',
          `local.patches.grid: found ${grid}, allowed: a divisor of the image's ${height} × ${width}`,
        );
      }
      return rebuild(context, features, size, channels, widen);
    },
    loss: (output, patches) => binaryCrossEntropy(output, meanPatch(target(), patches)),
  };
}

const kernel = 3;

/**
 * Features [N, C, h, w] → [N, channels, H, W]. Past the first convolution all is done with the batch last, which suits resized convolutions and wastes
 * nothing on few channels.
 */
function rebuild(
  context: LayerContext,
  features: Value,
  size: readonly [number, number],
  channels: number,
  widen: number,
): Value {
  const first = { out: 12 * widen, kernel, bias: 'absorbed' as const };
  const isSized = size.every((side, i) => staticDim(features.shape, 2 + i) === side);
  const x = isSized
    ? batchLast(conv2d(context, 'conv1', features, { ...first, padding: kernel >> 1 }))
    : resizedConv2d(context, 'conv1', batchLast(features), size, first);
  const [out, height, width, images] = staticShape(x.shape) as [number, number, number, number];
  // Batch norm takes channels as the second axis and does not care how positions and images are spread over the others.
  const hidden = relu(batchNorm(context, 'bn1', reshape(x, [1, out, height * width, images])));
  const last = { out: channels, kernel, bias: true };
  const y = resizedConv2d(context, 'conv2', reshape(hidden, [out, height, width, images]), size, last);
  return transpose(y, [3, 0, 1, 2]);
}

/** [N, C, H, W] → [C, H, W, N]. */
const batchLast = (x: Value): Value => transpose(x, [1, 2, 3, 0]);

/** The image's patch, or the mean of several where the output is a mean over them. */
function meanPatch(target: Value, patches: readonly Patch[]): Value {
  const cells = patches.map((patch) => cropPatch(target, patch));
  return cells.length === 1 ? cells[0]! : mul(cells.reduce(add), 1 / cells.length);
}
