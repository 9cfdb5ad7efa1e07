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
      return staticDim(features.shape, 2) === size[0] && staticDim(features.shape, 3) === size[1]
        ? rebuild(context, features, channels, widen)
        : rebuildResized(context, features, channels, widen, size);
    },
    loss: (output, patches) => binaryCrossEntropy(output, meanPatch(target(), patches)),
  };
}

const kernel = 3;

/** [N, C, H, W] → [N, channels, H, W]. */
function rebuild(context: LayerContext, features: Value, channels: number, widen: number): Value {
  const options = { kernel, padding: kernel >> 1, bias: true };
  const x = conv2d(context, 'conv1', features, { out: 12 * widen, ...options });
  return conv2d(context, 'conv2', relu(batchNorm(context, 'bn1', x)), { out: channels, ...options });
}

/** The same for features [N, C, h, w] that are to be resized first. All is done with the batch last, which resized convolutions want. */
function rebuildResized(
  context: LayerContext,
  features: Value,
  channels: number,
  widen: number,
  size: readonly [number, number],
): Value {
  const options = { kernel, bias: true };
  const out = 12 * widen;
  const x = resizedConv2d(context, 'conv1', transpose(features, [1, 2, 3, 0]), size, { out, ...options });
  const [, height, width, images] = staticShape(x.shape) as [number, number, number, number];
  // Batch norm takes channels as the second axis and does not care how positions and images are spread over the others.
  const hidden = relu(batchNorm(context, 'bn1', reshape(x, [1, out, height * width, images])));
  const y = resizedConv2d(context, 'conv2', reshape(hidden, [out, height, width, images]), size, {
    out: channels,
    ...options,
  });
  return transpose(y, [3, 0, 1, 2]);
}

/** The image's patch, or the mean of several where the output is a mean over them. */
function meanPatch(target: Value, patches: readonly Patch[]): Value {
  const cells = patches.map((patch) => cropPatch(target, patch));
  return cells.length === 1 ? cells[0]! : mul(cells.reduce(add), 1 / cells.length);
}
