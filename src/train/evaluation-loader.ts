/** Batches for an evaluation. */
import type { BatchSource } from '../data/batches.js';
import type { AnyDataset } from '../data/dataset.js';
import { createLoader } from '../data/open.js';
import type { DataConfig } from '../recipe/types.js';
import { evaluationBatch } from './evaluate.js';

/**
 * File order, no augmentation, none left out.
 * @throws InputError as `createLoader`
 */
export function evaluationLoader(
  dataset: AnyDataset,
  config: DataConfig,
  image: readonly [number, number, number],
): BatchSource {
  const batch = evaluationBatch(config, image);
  return createLoader(dataset, { ...config, batch }, image, { seed: 0, train: false });
}
