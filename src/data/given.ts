/** Checking data sets that come from a caller's code instead of files. */
import { InputError } from '../errors.js';
import type { Dataset } from './dataset.js';
import { checkLabels } from './labels.js';

/**
 * Refuses a data set that does not hold what it says.
 * @param where how the caller names it, e.g. `data.train`
 * @throws InputError `DATASET_EMPTY`, `DATASET_FORMAT`, `DATASET_COUNTS`, `DATASET_LABEL`
 */
export function checkGiven({ image, count, classes, pixels, labels }: Dataset, where: string): void {
  for (const [name, value] of [['count', count] as const, ['classes', classes] as const]) {
    if (isCount(value)) continue;
    const code = name === 'count' && value === 0 ? 'DATASET_EMPTY' : 'DATASET_FORMAT';
    throw new InputError(code, `${where}.${name}: found ${String(value)}, allowed: a whole number from 1`);
  }
  if (!Array.isArray(image) || image.length !== 3 || !image.every(isCount)) {
    const found = `${where}.image: found ${JSON.stringify(image)}`;
    throw new InputError('DATASET_FORMAT', `${found}, allowed: [channels, height, width], whole numbers from 1`);
  }
  checkBytes(pixels, count * image[0] * image[1] * image[2], `${where}.pixels`, `${count} × ${image.join(' × ')}`);
  checkBytes(labels, count, `${where}.labels`, 'one for each image');
  checkLabels(labels, classes, (i) => `${where}.labels, image ${i}`);
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 1;

function checkBytes(bytes: unknown, length: number, where: string, what: string): void {
  if (!(bytes instanceof Uint8Array)) {
    const found = (bytes as object | null | undefined)?.constructor?.name ?? String(bytes);
    throw new InputError('DATASET_FORMAT', `${where}: found ${found}, allowed: a Uint8Array`);
  }
  if (bytes.length === length) return;
  throw new InputError('DATASET_COUNTS', `${where}: found ${bytes.length} values, allowed: ${length}, ${what}`);
}
