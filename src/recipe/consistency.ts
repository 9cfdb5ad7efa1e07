/** What a recipe of the right shape can still get wrong: keys that contradict each other. */
import { boundaryIssues, moduleCountIssues } from './blocks.js';
import type { Issue } from './issues.js';
import type { RecipeShape } from './schema/index.js';

/** @returns everything that is wrong, in the order of the file; empty for a sound recipe */
export function consistencyIssues(recipe: RecipeShape): Issue[] {
  return [
    ...splitIssues(recipe),
    ...headIssues(recipe),
    ...normalizeIssues(recipe),
    ...cropIssues(recipe),
    ...convertIssues(recipe),
  ];
}

function splitIssues({ split, local, network }: RecipeShape): Issue[] {
  const either = '{"modules": K} or {"boundaries": [last block of each module]}';
  if (split === undefined) return local.rule === 'bp' ? [] : [{ path: ['split'], allowed: either }];
  const { modules, boundaries } = split;
  if ((modules === undefined) === (boundaries === undefined)) return [{ path: ['split'], allowed: `either ${either}` }];
  if (boundaries !== undefined) return boundaryIssues(boundaries, network.depth);
  return modules === undefined ? [] : moduleCountIssues(modules, network.depth);
}

/** What a rule cannot do without. */
function headIssues({ local }: RecipeShape): Issue[] {
  const { rule } = local;
  if (rule === 'infopro' && local.decoder === null) {
    return [{ path: ['local', 'decoder'], allowed: 'an object such as {"widen": 1} (rule infopro has a decoder)' }];
  }
  if (rule !== 'auglocal' || local.auglocal !== null) return [];
  return [{ path: ['local', 'auglocal'], allowed: 'an object such as {"depth": 3} (rule auglocal has such heads)' }];
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

function convertIssues({ data, network }: RecipeShape): Issue[] {
  const [channels, height, width] = network.image;
  const issues: Issue[] = [];
  const convert = data.convert;
  if (convert?.channels != null && convert.channels !== channels) {
    issues.push({ path: ['data', 'convert', 'channels'], allowed: `${channels} (channels of network.image) or null` });
  }
  if (convert?.pad != null && (convert.pad[0] !== height || convert.pad[1] !== width)) {
    const allowed = `[${height}, ${width}] (height and width of network.image) or null`;
    issues.push({ path: ['data', 'convert', 'pad'], allowed });
  }
  return issues;
}
