/** Decoder heads: rebuild the image from a module's features (InfoPro, Wang et al. 2021, section 3.2). */
import { InputError } from '../../errors.js';
import { add, binaryCrossEntropy, mul, relu, resizeBilinear, staticDim, type Value } from '../../graph/index.js';
import { batchNorm, conv2d, type LayerContext } from '../../nn/index.js';
import { cropPatch, type Head, type Patch } from './head.js';

/**
 * Bilinear resize to the patch of the image, conv3×3 to 12·widen channels + BN + ReLU, conv3×3 to the image's channels, sigmoid; binary
 * cross-entropy against that patch of the image in [0, 1]. The output is the logits: the loss holds the sigmoid.
 *
 * @param target the image in [0, 1], [N, C, H, W]
 */
export function decoderHead(widen: number, target: Value): Head {
  const [channels, height, width] = [1, 2, 3].map((axis) => staticDim(target.shape, axis)) as [number, number, number];
  return {
    kind: 'decoder',
    build: (context: LayerContext, features, grid) => {
      const size = [height / grid, width / grid] as const;
      if (!size.every(Number.isInteger)) {
        throw new InputError(
          'PATCHES_IMAGE_SIZE',
          `local.patches.grid: found ${grid}, allowed: a divisor of the image's ${height} × ${width}`,
        );
      }
      const resized = resizeBilinear(features, size);
      const options = { kernel: 3, padding: 1, bias: true };
      const hidden = relu(
        batchNorm(context, 'bn1', conv2d(context, 'conv1', resized, { out: 12 * widen, ...options })),
      );
      return conv2d(context, 'conv2', hidden, { out: channels, ...options });
    },
    loss: (output, patches) => binaryCrossEntropy(output, meanPatch(target, patches)),
  };
}

/** The image's patch, or the mean of several where the output is a mean over them. */
function meanPatch(target: Value, patches: readonly Patch[]): Value {
  const cells = patches.map((patch) => cropPatch(target, patch));
  return cells.length === 1 ? cells[0]! : mul(cells.reduce(add), 1 / cells.length);
}
