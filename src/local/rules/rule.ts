/** What a local rule is: the heads that it puts on a module. */
import type { Value } from '../../graph/index.js';
import type { Recipe } from '../../recipe/types.js';
import type { Head } from '../heads/head.js';

/**
 * Where a head's gradient may go: `independent` stays in its module, `cascade` also enters the module below (HiLo), `alone` is the only
 * supervision of a module (no HiLo) and stays in it.
 */
export type Level = 'independent' | 'cascade' | 'alone';

export interface WeightedHead {
  readonly head: Head;
  /** λ of the head at this module. */
  readonly weight: number;
}

/** What heads are trained to predict. */
export interface Targets {
  /** int64 [N] */
  readonly label: Value;
  /** The image in [0, 1], [N, C, H, W]; made when asked for. */
  readonly image: () => Value;
}

/**
 * @param position of the module among those with heads, 0 (first) … 1 (last): (i / (M-2))
 * @returns the heads of one level of one module
 */
export type LocalRuleHeads = (
  recipe: Recipe,
  targets: Targets,
  level: Level,
  position: number,
) => readonly WeightedHead[];
