/** What the tensors of a trunk are called by others, and a guess at whose names a file has. */
import type { NetworkConfig } from '../recipe/types.js';
import { torchvision } from './torchvision.js';

/** `hpff`: our own names. `torchvision`: those of the same network in torchvision.models. */
export const namingNames = ['hpff', 'torchvision'] as const;
export type NamingName = (typeof namingNames)[number];

export interface Naming {
  /** What a parameter or running statistic of the trunk is called, by our name. One to one; other names stay as they are. */
  readonly theirs: (own: string) => string;
  /**
   * Where convolutions have a bias that ours do without, because a batch norm comes next: what it is called, by our name of that batch
   * norm's running mean.
   */
  readonly absorbedBias: (runningMean: string) => string | null;
}

const hpff: Naming = { theirs: (own) => own, absorbedBias: () => null };

/** @param own our names of the trunk's tensors, in the order of the network */
export function namingOf(name: NamingName, network: NetworkConfig, own: readonly string[]): Naming {
  return name === 'hpff' ? hpff : torchvision(network, own);
}

/**
 * The naming under which a file has most of the trunk's tensors; `hpff` where it has none of them under any.
 * @param names of the file's tensors
 * @param own as `namingOf` takes them
 */
export function recognizeNaming(
  names: ReadonlySet<string>,
  network: NetworkConfig,
  own: readonly string[],
): NamingName {
  const counts = namingNames.map((name) => ({ name, found: countFound(names, own, namingOf(name, network, own)) }));
  return counts.reduce((best, each) => (each.found > best.found ? each : best)).name;
}

/** How many of the trunk's tensors a file has under a naming. */
export function countFound(names: ReadonlySet<string>, own: readonly string[], { theirs }: Naming): number {
  return own.filter((name) => names.has(theirs(name))).length;
}

/** PyTorch's count of the batches that running statistics have seen. It keeps one beside each running mean; nothing is computed with it. */
export function trackedName(runningMean: string): string {
  return runningMean.replace(/running_mean$/, 'num_batches_tracked');
}

export const isRunningMean = (name: string): boolean => name.endsWith('.running_mean');
