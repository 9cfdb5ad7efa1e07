/** What a data section of the right shape can still get wrong. */
import { isEncoded } from './data-defaults.js';
import type { Issue } from './issues.js';
import { encodedDatasetNames } from './schema/data.js';
import { listed } from './fields.js';
import type { RecipeShape } from './schema/index.js';

/** @returns everything that is wrong, in the order of the file */
export function dataIssues(recipe: RecipeShape): Issue[] {
  const ofKind = isEncoded(recipe.data.dataset) ? encodedIssues(recipe) : memoryIssues(recipe);
  return [...normalizeIssues(recipe), ...cropIssues(recipe), ...ofKind, ...columnIssues(recipe)];
}

function normalizeIssues({ data, network }: RecipeShape): Issue[] {
  const channels = network.image[0];
  return (['mean', 'std'] as const)
    .filter((key) => data.normalize[key].length !== 1 && data.normalize[key].length !== channels)
    .map((key) => ({
      path: ['data', 'normalize', key],
      allowed: channels === 1 ? 'a list of 1 number' : `a list of 1 or ${channels} numbers (channels of network.image)`,
    }));
}

function cropIssues({ data, network }: RecipeShape): Issue[] {
  const crop = data.augment?.crop;
  const shortest = Math.min(network.image[1], network.image[2]);
  if (crop?.mode !== 'reflect' || crop.pad < shortest) return [];
  const allowed = `an integer from 1 to ${shortest - 1} (an image of ${shortest} pixels has no more to reflect)`;
  return [{ path: ['data', 'augment', 'crop', 'pad'], allowed }];
}

/** Of images of one size, in memory. */
function memoryIssues({ data, network }: RecipeShape): Issue[] {
  const [channels, height, width] = network.image;
  const issues: Issue[] = [];
  const whose = `images of ${data.dataset} have one size; only ${listed(encodedDatasetNames)} resize theirs`;
  if (data.augment?.resizedCrop != null) {
    issues.push({ path: ['data', 'augment', 'resizedCrop'], allowed: `null (${whose})` });
  }
  if (data.resize != null) issues.push({ path: ['data', 'resize'], allowed: `null (${whose})` });
  const { convert } = data;
  if (convert?.channels != null && convert.channels !== channels) {
    issues.push({ path: ['data', 'convert', 'channels'], allowed: `${channels} (channels of network.image) or null` });
  }
  if (convert?.pad != null && (convert.pad[0] !== height || convert.pad[1] !== width)) {
    const allowed = `[${height}, ${width}] (height and width of network.image) or null`;
    issues.push({ path: ['data', 'convert', 'pad'], allowed });
  }
  return issues;
}

/** Of images of any size, which are decoded to what the network takes. */
function encodedIssues({ data, network }: RecipeShape): Issue[] {
  const [channels, height, width] = network.image;
  const longest = Math.max(height, width);
  const issues: Issue[] = [];
  if (channels !== 1 && channels !== 3) {
    issues.push({ path: ['network', 'image', 0], allowed: `1 (grey) or 3 (colour) for data set ${data.dataset}` });
  }
  if (data.augment?.resizedCrop != null && data.augment.crop != null) {
    issues.push({ path: ['data', 'augment', 'crop'], allowed: 'null, where there is a resizedCrop' });
  }
  if (data.resize != null && data.resize < longest) {
    const allowed = `an integer from ${longest} (the larger side of network.image) to 4096, or null`;
    issues.push({ path: ['data', 'resize'], allowed });
  }
  if (data.convert !== null) {
    const allowed = `null (images of ${data.dataset} are decoded to the size and channels of network.image)`;
    issues.push({ path: ['data', 'convert'], allowed });
  }
  return issues;
}

function columnIssues({ data }: RecipeShape): Issue[] {
  if (data.columns == null || data.dataset === 'parquet') return [];
  return [{ path: ['data', 'columns'], allowed: 'null (only data set "parquet" has columns)' }];
}
