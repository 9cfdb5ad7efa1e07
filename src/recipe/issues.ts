/** What is wrong with a recipe, said in one line: path, what was found, what is allowed. */
import type { z } from 'zod';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';

export type Path = readonly (string | number)[];

/** One thing that is wrong. What was found is looked up in the recipe by `path`. */
export interface Issue {
  readonly path: Path;
  readonly allowed: string;
  /** The key itself is not known; `allowed` lists those that are. */
  readonly unknownKey?: boolean;
}

/** The issues that zod found. The schema's error texts say what is allowed. */
export function issuesOf(error: z.ZodError): Issue[] {
  return error.issues.flatMap((issue): Issue[] => {
    const path = issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key));
    if (issue.code !== 'unrecognized_keys') return [{ path, allowed: issue.message }];
    return issue.keys.map((key) => ({ path: [...path, key], allowed: issue.message, unknownKey: true }));
  });
}

/** The refusal of a recipe, `RECIPE_INVALID`: the first issue in full, the others counted. */
export class RecipeRefusal extends InputError {
  /** @param lines what is wrong, a line for each path */
  constructor(readonly lines: readonly [string, ...string[]]) {
    super('RECIPE_INVALID', lines.length === 1 ? lines[0] : `${lines[0]} (and ${lines.length - 1} more)`);
  }

  /** One error for each line. */
  get each(): InputError[] {
    return this.lines.map((line) => new InputError(this.code, line));
  }
}

/**
 * The error for a recipe with issues.
 * @param value the recipe as found
 * @param where its file, or another name for it
 */
export function refusal(value: unknown, where: string, issues: readonly [Issue, ...Issue[]]): RecipeRefusal {
  const [first, ...rest] = issues;
  const line = (issue: Issue): string => `${printable(where)}: ${describeIssue(value, issue)}`;
  const told = new Set([describePath(first.path)]);
  const others = rest.filter(({ path }) => {
    const at = describePath(path);
    return told.has(at) ? false : told.add(at);
  });
  return new RecipeRefusal([line(first), ...others.map(line)]);
}

function describeIssue(value: unknown, { path, allowed, unknownKey }: Issue): string {
  const at = path.length === 0 ? '' : `${describePath(path)}: `;
  if (unknownKey) return `${at}unknown key, allowed: ${allowed}`;
  const found = valueAt(value, path);
  return found === undefined && path.length > 0
    ? `${at}missing, allowed: ${allowed}`
    : `${at}found ${describeValue(found)}, allowed: ${allowed}`;
}

/** `network.widths[2]`; a key that is not a plain word stands in brackets and quotes. */
function describePath(path: Path): string {
  const steps = path.map((key) => {
    if (typeof key === 'number') return `[${key}]`;
    return /^[\w$-]{1,60}$/.test(key) ? `.${key}` : `["${printable(key, 60)}"]`;
  });
  return steps.join('').replace(/^\./, '');
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string | number, unknown>)[key];
  }
  return at;
}

function describeValue(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (jsonText(value) ?? String(value));
  return printable(text, 60);
}

function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return `a value that JSON cannot hold (${typeof value})`;
  }
}
