/** Classifier heads made of blocks like those of the trunk (AugLocal, Ma et al. 2024, section 3.2). */
import { globalAveragePool, softmaxCrossEntropy, type Value } from '../../graph/index.js';
import type { Block } from '../../networks/index.js';
import { dense, type LayerContext } from '../../nn/index.js';
import type { LocalConfig } from '../../recipe/types.js';
import type { Head } from './head.js';

/**
 * A block of the kind of each of `blocks`, with weights of its own, global average pool and a linear layer; cross-entropy. The map is halved, once a
 * block, as soon as it is larger than that of the block that is followed.
 *
 * @param reduction of the features: the image's sides are longer by this factor
 * @param label int64 [N]
 * @param labelSmoothing of the cross-entropy
 */
export function blocksHead(
  blocks: readonly Block[],
  reduction: number,
  classes: number,
  label: Value,
  labelSmoothing = 0,
): Head {
  return {
    kind: 'classifier',
    build: (context: LayerContext, features) => {
      let at = reduction;
      const last = blocks.reduce((x, block, i) => {
        const stride = block.reduction > at ? 2 : 1;
        at *= stride;
        return block.kind.make(`block${i + 1}`, stride).build(context, x);
      }, features);
      return dense(context, 'fc1', globalAveragePool(last), classes);
    },
    loss: (output) => softmaxCrossEntropy(output, label, labelSmoothing),
  };
}

/** `depth` of the items, the last one among them, at distances as equal as can be; all where there are no more. */
export function evenlySampled<T>(items: readonly T[], depth: number): T[] {
  if (depth >= items.length) return [...items];
  return Array.from({ length: depth }, (_, i) => items[Math.round(((i + 1) * items.length) / depth) - 1]!);
}

/**
 * Blocks in the head of a module: from `depth` at position 0 linearly down to depth - coefficient · (depth - 1) at position 1, rounded.
 *
 * @param position of the module, 0 (first) … 1 (last with a head)
 */
export function pyramidDepth({ depth, coefficient }: NonNullable<LocalConfig['auglocal']>, position: number): number {
  return Math.round(depth - coefficient * position * (depth - 1));
}
