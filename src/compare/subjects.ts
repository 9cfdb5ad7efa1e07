/** The recipes of a comparison: each with a name of its own and a folder of its own. */
import path from 'node:path';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { recipeHash } from '../recipe/hash.js';
import type { Recipe } from '../recipe/index.js';
import { ownFiles } from './files.js';

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
const HASH_LENGTH = 8;

/**
 * @throws InputError `COMPARE_RECIPES` if there are none, or two that say the same but for their name and seed
 */
export function subjectsOf(given: readonly GivenRecipe[]): Subject[] {
  if (given.length === 0) throw new InputError('COMPARE_RECIPES', 'recipes: found none, allowed: one at least');
  refuseTwins(given);
  const isAlone = ({ name }: Recipe): boolean => given.filter(({ recipe }) => recipe.name === name).length === 1;
  const folders = given.map(({ file, recipe }) =>
    folderName(isAlone(recipe) ? recipe.name : `${recipe.name}-${path.basename(file, '.json')}`),
  );
  return given.map(({ file, recipe }, i) => {
    const label = isAlone(recipe) ? recipe.name : `${recipe.name} (${printable(file)})`;
    const folder = folders[i]!;
    const others = [...ownFiles, ...folders.toSpliced(i, 1)];
    const isFree = !others.some((other) => isSameName(other, folder));
    // Not by their order, which may be another the next time.
    return { file, recipe, label, folder: isFree ? folder : `${folder}-${saying(recipe).slice(0, HASH_LENGTH)}` };
  });
}

/** What a recipe says but for its name and seed, as a hash. */
const saying = (recipe: Recipe): string => recipeHash({ ...recipe, name: '', seed: 0 });

/** Some file systems do not tell cases apart. */
const isSameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

function refuseTwins(given: readonly GivenRecipe[]): void {
  const seen = new Map<string, string>();
  for (const { file, recipe } of given) {
    const hash = saying(recipe);
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
  const plain = name.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-').replaceAll(/^[.-]+|[.-]+$/g, '');
  return cut(plain) || 'recipe';
}

/** At most 80 UTF-16 code units, which are no more than 240 bytes; no character is cut in two. */
const cut = (text: string): string => text.slice(0, FOLDER_LENGTH).replace(/[\ud800-\udbff]$/, '');
