/** Data sets and their loaders by name, whether the images are read into memory or stay on the disk. */
import { isEncoded } from '../recipe/data-defaults.js';
import type { DataConfig, DatasetName } from '../recipe/types.js';
import type { BatchSource, LoaderOptions } from './batches.js';
import { type AnyDataset, isInMemory } from './dataset.js';
import { openImageFolder } from './image-folder.js';
import { loadDataset, requirePath } from './load.js';
import { Loader } from './loader.js';
import { openParquet } from './parquet/open.js';
import { StreamingLoader } from './streaming-loader.js';

export interface OpenOptions {
  /** Folder of the files, where they are not bundled. */
  readonly path?: string | undefined;
  /** Of parquet files. Default: `image` and `label`. */
  readonly columns?: DataConfig['columns'];
  /** What the network tells apart: parquet files need not say how many classes there are. */
  readonly classes: number;
}

/**
 * Opens one split.
 * @throws InputError as `loadDataset`, `openImageFolder` and `openParquet`
 */
export async function openDataset(
  name: DatasetName,
  split: 'train' | 'test',
  { path, columns, classes }: OpenOptions,
): Promise<AnyDataset> {
  if (!isEncoded(name)) return loadDataset(name, split, path);
  const root = requirePath(name, path);
  if (name === 'image-folder') return openImageFolder(root, split);
  return openParquet(root, split, columns ?? { image: 'image', label: 'label' }, classes);
}

/**
 * @param image the network's [channels, height, width]
 * @throws InputError as `Loader` and `StreamingLoader`
 */
export function createLoader(
  dataset: AnyDataset,
  config: DataConfig,
  image: readonly [number, number, number],
  options: LoaderOptions,
): BatchSource {
  return isInMemory(dataset)
    ? new Loader(dataset, config, image, options)
    : new StreamingLoader(dataset, config, image, options);
}
