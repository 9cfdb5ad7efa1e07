/** How long the values live that pass between the graphs of a step. */
import type { GraphEntry, Meaning } from './manifest.js';

/** What a step makes or is given, and needs no more when it is over. */
const passing: ReadonlySet<Meaning> = new Set([
  'feature',
  'stash',
  'cotangent',
  'relay',
  'logits',
  'image',
  'label',
] as const);

/** For each graph of a schedule, the passing values that it reads or makes and no later one reads. */
export function lastUses(entries: readonly GraphEntry[]): string[][] {
  const last = new Map<string, number>();
  entries.forEach(({ inputs, outputs }, i) => {
    for (const { name, meaning } of [...inputs, ...outputs]) if (passing.has(meaning)) last.set(name, i);
  });
  const result: string[][] = entries.map(() => []);
  for (const [name, i] of last) result[i]!.push(name);
  return result;
}
