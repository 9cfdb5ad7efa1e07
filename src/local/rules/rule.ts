/** What a local rule is: the heads that it puts on a module. */
import type { Value } from '../../graph/index.js';
import type { Block } from '../../networks/index.js';
import type { LambdaPair, Recipe } from '../../recipe/types.js';
import { classifierHead } from '../heads/classifier.js';
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

/** Where a module stands in the network. */
export interface ModulePlace {
  /** Among the modules with heads, 0 (first) … 1 (last): i / (M-2). */
  readonly position: number;
  /** Reduction of its features: the image's sides are longer by this factor. */
  readonly reduction: number;
  /** The trunk's blocks after the module, in order. */
  readonly later: readonly Block[];
}

/** The heads of one level of one module. */
export type LocalRuleHeads = (
  recipe: Recipe,
  targets: Targets,
  level: Level,
  place: ModulePlace,
) => readonly WeightedHead[];

/** λ at a module: linear from the first to the last one. */
export const lambdaAt = ([first, last]: LambdaPair, position: number): number =>
  first * (1 - position) + last * position;

/** The classifier head that the recipe asks for. */
export const classifierOn = ({ local, network, loss }: Recipe, { label }: Targets, { later }: ModulePlace): Head =>
  classifierHead(local.classifier, network.classes, label, later.at(-1)!.kind.width, loss?.labelSmoothing);
