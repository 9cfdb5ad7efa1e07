/** The graphs of a step in their order, and how long the values live that pass between them. */
import type { GraphEntry, Manifest, Meaning } from './manifest.js';

/** The graphs that make up a step under a schedule. */
export function stepGraphs({ graphs }: Manifest, schedule: 'fused' | 'sync'): GraphEntry[] {
  return graphs.filter(({ phase }) => (schedule === 'fused' ? phase === 'step' : phase !== 'step' && phase !== 'eval'));
}

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

/** Whether a value is only there while a step runs. */
export const isPassing = (meaning: Meaning): boolean => passing.has(meaning);

/** For each graph of a schedule, the passing values that it reads or makes and no later one reads. */
export function lastUses(entries: readonly GraphEntry[]): string[][] {
  const last = new Map<string, number>();
  entries.forEach(({ inputs, outputs }, i) => {
    for (const { name, meaning } of [...inputs, ...outputs]) if (isPassing(meaning)) last.set(name, i);
  });
  const result: string[][] = entries.map(() => []);
  for (const [name, i] of last) result[i]!.push(name);
  return result;
}
