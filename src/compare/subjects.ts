/** The recipes of a comparison: each with a name of its own and a folder of its own. */
import path from 'node:path';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { type Recipe, recipeHash } from '../recipe/index.js';

/** A recipe as the user gave it. */
export interface GivenRecipe {
  readonly file: string;
  readonly recipe: Recipe;
}

export interface Subject extends GivenRecipe {
  /** Name of the recipe, with its file where another has the same name. */
  readonly label: string;
  /** Name of the folder of its runs. */
  readonly folder: string;
}

const FOLDER_LENGTH = 80;

/**
 * @throws InputError `COMPARE_RECIPES` if there are none, or two that say the same but for their name and seed
 */
export function subjectsOf(given: readonly GivenRecipe[]): Subject[] {
  if (given.length === 0) throw new InputError('COMPARE_RECIPES', 'recipes: found none, allowed: one at least');
  refuseTwins(given);
  const names = given.map(({ recipe }) => recipe.name);
  const taken = new Set<string>();
  return given.map(({ file, recipe }) => {
    const alone = names.filter((name) => name === recipe.name).length === 1;
    const label = alone ? recipe.name : `${recipe.name} (${printable(file)})`;
    const folder = freeName(folderName(alone ? recipe.name : `${recipe.name}-${path.basename(file, '.json')}`), taken);
    taken.add(folder.toLowerCase());
    return { file, recipe, label, folder };
  });
}

function refuseTwins(given: readonly GivenRecipe[]): void {
  const seen = new Map<string, string>();
  for (const { file, recipe } of given) {
    const hash = recipeHash({ ...recipe, name: '', seed: 0 });
    const twin = seen.get(hash);
    if (twin !== undefined) {
      const both = `${printable(twin)} and ${printable(file)}`;
      throw new InputError('COMPARE_RECIPES', `${both}: say the same, allowed: recipes that differ (seeds: --seeds)`);
    }
    seen.set(hash, file);
  }
}

/** What any file system takes as one name. */
function folderName(name: string): string {
  const plain = name
    .replaceAll(/[^\p{L}\p{N}._-]+/gu, '-')
    .replaceAll(/^[.-]+|[.-]+$/g, '')
    .slice(0, FOLDER_LENGTH);
  return plain || 'recipe';
}

/** @param taken in lower case: some file systems do not tell cases apart */
function freeName(name: string, taken: ReadonlySet<string>): string {
  let free = name;
  for (let count = 2; taken.has(free.toLowerCase()); count++) free = `${name}-${count}`;
  return free;
}
