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
import type { LocalConfig } from '../../recipe/types.js';
import { cropPatch, type Head, type Patch } from './head.js';

/**
 * Rebuilds the patch of the image with one of two nets; binary cross-entropy against that patch of the image in [0, 1]. The output is the logits: the
 * loss holds the sigmoid.
 *
 * @param target the image in [0, 1], [N, C, H, W]
 */
export function decoderHead({ net, widen }: DecoderConfig, target: () => Value): Head {
  const rebuild = net === 'imagenet' ? rebuildInDoublings : rebuildAtOnce;
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

type DecoderConfig = LocalConfig['decoder'] & object;

const kernel = 3;

/** Features [N, C, h, w] → [N, channels, H, W]. */
type Rebuild = (
  context: LayerContext,
  features: Value,
  size: readonly [number, number],
  channels: number,
  widen: number,
) => Value;

/**
 * Bilinear resize to the patch of the image, conv3×3 to 12·widen channels + BN + ReLU, conv3×3 to the image's channels. Past the first convolution all is
 * done with the batch last, which suits resized convolutions and wastes nothing on few channels.
 */
const rebuildAtOnce: Rebuild = (context, features, size, channels, widen) => {
  const first = { out: 12 * widen, kernel, bias: 'absorbed' as const };
  const isSized = size.every((side, i) => staticDim(features.shape, 2 + i) === side);
  const x = isSized
    ? batchLast(conv2d(context, 'conv1', features, { ...first, padding: kernel >> 1 }))
    : resizedConv2d(context, 'conv1', batchLast(features), size, first);
  const y = resizedConv2d(context, 'conv2', normalised(context, 'bn1', x), size, { out: channels, kernel, bias: true });
  return transpose(y, [3, 0, 1, 2]);
};

/** Widest layer of a decoder that doubles, and the one at half the size of the image. */
const WIDEST = 128;
const NARROWEST = 16;

/**
 * The decoder of HPFF's program for ImageNet (InfoPro's has much the same): conv1×1 to 128·widen channels + BN + ReLU; then the map is doubled (bilinear) until
 * it has the size of the image, with a conv3×3 + BN + ReLU after each doubling, of half as many channels each time that it comes nearer: … 64, 32, 16·widen at
 * an eighth, a quarter, half of the image; the last conv3×3 gives the image's channels.
 */
const rebuildInDoublings: Rebuild = (context, features, size, channels, widen) => {
  const ratios = size.map((side, i) => Math.round(Math.log2(side / staticDim(features.shape, 2 + i))));
  const doublings = Math.max(1, ...ratios);
  const first = conv2d(context, 'conv1', features, { out: WIDEST * widen, kernel: 1, bias: 'absorbed' });
  let x = batchLast(relu(batchNorm(context, 'bn1', first)));
  for (let i = 1; i < doublings; i++) {
    const left = doublings - i;
    const reached = [Math.ceil(size[0] / 2 ** left), Math.ceil(size[1] / 2 ** left)] as const;
    const out = Math.min(WIDEST, NARROWEST * 2 ** (left - 1)) * widen;
    const y = resizedConv2d(context, `conv${i + 1}`, x, reached, { out, kernel, bias: 'absorbed' });
    x = normalised(context, `bn${i + 1}`, y);
  }
  const y = resizedConv2d(context, `conv${doublings + 1}`, x, size, { out: channels, kernel, bias: true });
  return transpose(y, [3, 0, 1, 2]);
};

/** Batch norm and ReLU of maps [C, H, W, N]. It takes channels as the second axis and does not care how positions and images are spread over the others. */
function normalised(context: LayerContext, name: string, x: Value): Value {
  const [out, height, width, images] = staticShape(x.shape) as [number, number, number, number];
  const y = relu(batchNorm(context, name, reshape(x, [1, out, height * width, images])));
  return reshape(y, [out, height, width, images]);
}

/** [N, C, H, W] → [C, H, W, N]. */
const batchLast = (x: Value): Value => transpose(x, [1, 2, 3, 0]);

/** The image's patch, or the mean of several where the output is a mean over them. */
function meanPatch(target: Value, patches: readonly Patch[]): Value {
  const cells = patches.map((patch) => cropPatch(target, patch));
  return cells.length === 1 ? cells[0]! : mul(cells.reduce(add), 1 / cells.length);
}
