/** The keys of JSON results: those that docs/json.md lists, and those that are there. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

const text = readFileSync(path.join(import.meta.dirname, '../../docs/json.md'), 'utf8');

/** Cells of the tables in the section of a command, without header and rule. */
function rowsOf(command: string): string[][] {
  const section = text.split(/^## /m).find((each) => each.startsWith(`${command}\n`))!;
  return [...section.matchAll(/^\| *(.*?) *\|$/gm)]
    .map((match) => match[1]!.split(/ *(?<!\\)\| */))
    .filter(([first]) => !/^(?:-+|key|event)$/.test(first!));
}

/** Key paths such as `results[].stepSeconds.min`, sorted. */
export function documentedKeys(command: string): string[] {
  return rowsOf(command)
    .map(([key]) => key!.replaceAll('`', ''))
    .sort();
}

/** Keys of each event of `train`, sorted, without `event` and `step`. */
export function documentedEvents(): Map<string, string[]> {
  const events = new Map<string, string[]>();
  let names: string[] = [];
  for (const [event, key] of rowsOf('train')) {
    if (event !== '') names = event!.replaceAll('`', '').split(', ');
    for (const name of names) events.set(name, [...(events.get(name) ?? []), key!.replaceAll('`', '')].sort());
  }
  return events;
}

/**
 * Key paths of a JSON document, each once, sorted.
 * @param maps names of objects whose keys are data
 */
export function keysOf(value: unknown, maps: readonly string[] = []): string[] {
  return [...new Set(paths(value, '', maps))].sort();
}

function paths(value: unknown, at: string, maps: readonly string[]): string[] {
  if (Array.isArray(value)) return value.flatMap((each) => paths(each, `${at}[]`, maps));
  if (typeof value !== 'object' || value === null) return [at];
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = at === '' ? key : `${at}.${key}`;
    const map = maps.includes(key) && !Array.isArray(inner);
    return map ? [here] : paths(inner, here, maps);
  });
}
