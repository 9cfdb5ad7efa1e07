/** Defaults of the recipe's data section that depend on other keys. */
import { encodedDatasetNames } from './schema/data.js';
import type { RecipeShape } from './schema/index.js';
import type { DataConfig, DatasetName, EncodedDatasetName } from './types.js';

const NO_AUGMENTATION: DataConfig['augment'] = { resizedCrop: null, crop: null, flip: false };

/** Whether a data set is one of encoded images of any size. */
export function isEncoded(name: DatasetName): name is EncodedDatasetName {
  return (encodedDatasetNames as readonly DatasetName[]).includes(name);
}

/** The usual resize before a centre crop: 256 for 224, and in that proportion. @param image [channels, height, width] */
export function defaultResize(image: readonly [number, number, number]): number {
  return Math.round((Math.max(image[1], image[2]) * 256) / 224);
}

/** @param image [channels, height, width] of the images that the network takes */
export function fillData(data: RecipeShape['data'], image: readonly [number, number, number]): DataConfig {
  const perChannel = (list: readonly number[]) =>
    list.length === image[0] ? list : Array<number>(image[0]).fill(list[0]!);
  return {
    dataset: data.dataset,
    batch: data.batch,
    ...(data.trainImages === undefined ? {} : { trainImages: data.trainImages }),
    normalize: { mean: perChannel(data.normalize.mean), std: perChannel(data.normalize.std) },
    augment: data.augment ?? NO_AUGMENTATION,
    resize: data.resize ?? (isEncoded(data.dataset) ? defaultResize(image) : null),
    columns: data.dataset === 'parquet' ? (data.columns ?? { image: 'image', label: 'label' }) : null,
    convert: data.convert,
  };
}
