/** Batches of noise, for measurements that need no data set. */
import { elementCount, float32 } from '../files/tensor.js';
import { Random } from '../random.js';
import type { Recipe } from '../recipe/types.js';
import type { Batch } from './dataset.js';

/** As many images as the recipe's batch: normal noise, classes in turn. The same at every call with a new `random` of the same seed. */
export function syntheticBatch({ network, data }: Recipe, random = new Random(0, 'synthetic batch')): Batch {
  const shape = [data.batch, ...network.image];
  const pixels = Float32Array.from({ length: elementCount(shape) }, () => random.normal());
  const classes = BigInt64Array.from({ length: data.batch }, (_, i) => BigInt(i % network.classes));
  return { image: float32(shape, pixels), label: { dtype: 'int64', shape: [data.batch], data: classes } };
}
