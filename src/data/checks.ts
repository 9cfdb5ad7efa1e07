/** Whether a recipe's data section fits the data set and the network; messages give the values that would. */
import { InputError } from '../errors.js';
import type { DataConfig } from '../recipe/types.js';
import type { Dataset } from './dataset.js';

type Image = readonly [number, number, number];

/** A data set's name and its images' [channels, height, width] as stored. */
type NamedImage = Pick<Dataset, 'name' | 'image'>;

/**
 * @param image the network's [channels, height, width]
 * @throws InputError `DATA_IMAGE_MISMATCH`, `DATA_CONVERT`, `DATA_NORMALIZE`, `DATA_CROP`, `DATA_BATCH`
 */
export function checkConfig(dataset: NamedImage, config: DataConfig, image: Image): void {
  checkImage(dataset, converted(dataset, config.convert), image);
  checkPreparation(config, image);
}

/**
 * As `checkConfig`, for encoded images of any size.
 * @throws InputError `DATA_IMAGE_MISMATCH`, `DATA_NORMALIZE`, `DATA_CROP`, `DATA_RESIZE`, `DATA_BATCH`
 */
export function checkEncodedConfig(name: string, config: DataConfig, image: Image): void {
  const [channels, height, width] = image;
  if (channels !== 1 && channels !== 3) {
    const found = `network.image is ${list(image)} (channels, height, width), but images of ${name} have 1 or 3 channels`;
    throw new InputError('DATA_IMAGE_MISMATCH', `${found}, as the network asks for`);
  }
  const longest = Math.max(height, width);
  if (config.resize !== null && config.resize < longest) {
    throw new InputError(
      'DATA_RESIZE',
      `data.resize is ${config.resize}; allowed: from ${longest}, which the network takes`,
    );
  }
  checkPreparation(config, image);
}

function checkPreparation(config: DataConfig, image: Image): void {
  checkNormalize(config.normalize, image[0]);
  checkCrop(config.augment.crop, image);
  if (!Number.isInteger(config.batch) || config.batch < 1) {
    throw new InputError('DATA_BATCH', `data.batch is ${config.batch}; allowed: a whole number from 1`);
  }
}

/** The images' [channels, height, width] after `data.convert`. */
function converted({ name, image }: NamedImage, convert: DataConfig['convert']): Image {
  if (convert === null) return image;
  const channels = image[0];
  const [height, width] = shrunkSize(name, image, convert.shrink ?? 1);
  if (convert.channels !== null && channels !== 1 && convert.channels !== channels) {
    throw new InputError(
      'DATA_CONVERT',
      `data.convert.channels is ${convert.channels}, but images of ${name} have ${channels} channels: ` +
        'only grey ones can be repeated',
    );
  }
  const [toHeight, toWidth] = convert.pad ?? [height, width];
  if (toHeight < height || toWidth < width) {
    throw new InputError(
      'DATA_CONVERT',
      `data.convert.pad is ${list([toHeight, toWidth])}, but images of ${name} are ${height} × ${width}; ` +
        `allowed: at least ${list([height, width])}`,
    );
  }
  return [convert.channels ?? channels, toHeight, toWidth];
}

/** [height, width] after `data.convert.shrink`. */
function shrunkSize(name: string, [, height, width]: Image, factor: number): readonly [number, number] {
  const divides = (cell: number): boolean => height % cell === 0 && width % cell === 0;
  if (divides(factor)) return [height / factor, width / factor];
  const allowed = Array.from({ length: Math.min(height, width) }, (_, i) => i + 1).filter(divides);
  throw new InputError(
    'DATA_CONVERT',
    `data.convert.shrink is ${factor}, but images of ${name} are ${height} × ${width}; allowed: ${allowed.join(', ')}`,
  );
}

function checkImage(dataset: NamedImage, found: Image, image: Image): void {
  if (found.every((size, i) => size === image[i])) return;
  throw new InputError(
    'DATA_IMAGE_MISMATCH',
    `images of ${dataset.name} are ${list(found)} (channels, height, width), but network.image is ${list(image)}; ` +
      remedy(dataset.image, image),
  );
}

/** The `data.convert` that makes stored images fit, or the `network.image` if none does. */
function remedy(stored: Image, image: Image): string {
  const canRepeat = stored[0] === image[0] || stored[0] === 1;
  const canPad = stored[1] <= image[1] && stored[2] <= image[2];
  if (!canRepeat || !canPad) return `set "network": {"image": ${list(stored)}}`;
  const parts: string[] = [];
  if (stored[0] !== image[0]) parts.push(`"channels": ${image[0]}`);
  if (stored[1] !== image[1] || stored[2] !== image[2]) parts.push(`"pad": ${list(image.slice(1))}`);
  return parts.length === 0 ? 'leave "convert" out of "data"' : `set "data": {"convert": {${parts.join(', ')}}}`;
}

/** @throws InputError `DATA_CLASSES` */
export function checkClasses({ name, classes }: Pick<Dataset, 'name' | 'classes'>, found: number): void {
  if (classes === found) return;
  throw new InputError('DATA_CLASSES', `network.classes: found ${found}, allowed: ${classes}, as ${name} has`);
}

function checkNormalize({ mean, std }: DataConfig['normalize'], channels: number): void {
  for (const [key, values] of [['mean', mean] as const, ['std', std] as const]) {
    if (values.length !== 1 && values.length !== channels) {
      const allowed = channels === 1 ? 'one' : `${channels} (one a channel) or one for all`;
      throw new InputError('DATA_NORMALIZE', `data.normalize.${key} has ${values.length} values; allowed: ${allowed}`);
    }
  }
  const bad = [...mean.filter((value) => !Number.isFinite(value)), ...std.filter((value) => !(value > 0))];
  if (bad.length > 0) {
    throw new InputError('DATA_NORMALIZE', `data.normalize holds ${bad[0]}; allowed: finite means, std above 0`);
  }
}

function checkCrop(crop: DataConfig['augment']['crop'], [, height, width]: Image): void {
  if (crop === null) return;
  const side = Math.min(height, width);
  const most = crop.mode === 'reflect' ? side - 1 : side; // reflection needs a pixel to reflect; past zeros all is black
  if (Number.isInteger(crop.pad) && crop.pad >= 0 && crop.pad <= most) return;
  throw new InputError(
    'DATA_CROP',
    `data.augment.crop.pad is ${crop.pad}; allowed for mode "${crop.mode}" on ${height} × ${width}: 0 to ${most}`,
  );
}

function list(sizes: readonly number[]): string {
  return `[${sizes.join(', ')}]`;
}
