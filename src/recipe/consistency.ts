/** What a recipe of the right shape can still get wrong: keys that contradict each other. */
import { dataIssues } from './data-consistency.js';
import { boundaryIssues, moduleCountIssues } from './blocks.js';
import type { Issue } from './issues.js';
import { networkIssues } from './network-defaults.js';
import type { RecipeShape } from './schema/index.js';

/** @returns everything that is wrong, in the order of the file; empty for a sound recipe */
export function consistencyIssues(recipe: RecipeShape): Issue[] {
  return [
    ...networkIssues(recipe.network),
    ...splitIssues(recipe),
    ...headIssues(recipe),
    ...microBatchIssues(recipe),
    ...dataIssues(recipe),
  ];
}

function splitIssues({ split, local, network }: RecipeShape): Issue[] {
  const either = '{"modules": K} or {"boundaries": [last block of each module]}';
  if (split === undefined) return local.rule === 'bp' ? [] : [{ path: ['split'], allowed: either }];
  const { modules, boundaries, balance } = split;
  if ((modules === undefined) === (boundaries === undefined)) return [{ path: ['split'], allowed: `either ${either}` }];
  if (boundaries !== undefined) {
    const balanced = { path: ['split', 'balance'], allowed: 'nothing with boundaries, which leave nothing to balance' };
    return [...(balance === undefined ? [] : [balanced]), ...boundaryIssues(boundaries, network)];
  }
  return modules === undefined ? [] : moduleCountIssues(modules, network, balance !== undefined);
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

function microBatchIssues({ optimizer: { microBatch }, data: { batch } }: RecipeShape): Issue[] {
  if (microBatch == null || batch % microBatch === 0) return [];
  return [{ path: ['optimizer', 'microBatch'], allowed: `a divisor of data.batch, ${batch}` }];
}
