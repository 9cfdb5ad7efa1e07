/** Where recipes differ: in their local learning, which is what is compared, and in what should be alike. */
import type { Recipe } from '../recipe/index.js';

export interface Difference {
  /** e.g. `data.batch` */
  readonly path: string;
  /** Of each recipe, as JSON; null where it has no such key. */
  readonly values: readonly (string | null)[];
}

export interface Differences {
  /** In `local` and `split`. */
  readonly method: readonly Difference[];
  /** In network, data, optimizer and schedule. */
  readonly conditions: readonly Difference[];
}

/** Differences but for names and seeds. */
export function differencesOf(recipes: readonly Recipe[]): Differences {
  const leaves = recipes.map((recipe) => new Map(leavesOf({ ...recipe, name: undefined, seed: undefined }, '')));
  const every = [...new Set(leaves.flatMap((each) => [...each.keys()]))];
  // Where one recipe has null and another an object, the keys of the object tell it.
  const paths = every.filter((path) => !every.some((other) => other.startsWith(`${path}.`)));
  const all = paths
    .map((path) => ({ path, values: leaves.map((each) => each.get(path) ?? null) }))
    .filter(({ values }) => new Set(values).size > 1);
  const isMethod = ({ path }: Difference): boolean => /^(local|split)\b/.test(path);
  return { method: all.filter(isMethod), conditions: all.filter((each) => !isMethod(each)) };
}

/** Values that are no objects, by their paths; arrays whole. */
function leavesOf(value: unknown, path: string): [string, string][] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[path, JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, path === '' ? key : `${path}.${key}`));
}
