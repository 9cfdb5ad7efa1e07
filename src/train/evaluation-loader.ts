/** Batches for an evaluation. */
import type { BatchSource } from '../data/batches.js';
import type { AnyDataset } from '../data/dataset.js';
import { createLoader } from '../data/open.js';
import type { DataConfig } from '../recipe/types.js';
import { evaluationSetting } from './evaluate.js';

/**
 * As `evaluationSetting` says.
 * @throws InputError as `createLoader`
 */
export function evaluationLoader(
  dataset: AnyDataset,
  config: DataConfig,
  image: readonly [number, number, number],
): BatchSource {
  const setting = evaluationSetting(config, image);
  return createLoader(dataset, setting.config, image, setting.options);
}
