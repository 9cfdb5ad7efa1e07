/** Keeping the process around a training step small. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/**
 * Collects JavaScript's garbage now, and gives back the memory that it lay in: graphs and models, once they are loaded, are several times what remains.
 * Takes some ten milliseconds.
 */
export function collectGarbage(): void {
  if (!collect) {
    // Node offers the collector to contexts that are made while this flag is set.
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  // What the first collection empties, the second gives back.
  collect();
  collect();
}
