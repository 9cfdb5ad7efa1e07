/** Networks by the name that a recipe gives them. */
import type { NetworkConfig } from '../recipe/types.js';
import { cifarResnet } from './cifar-resnet.js';
import type { Trunk } from './trunk.js';

export { inferenceGraph, type InferenceGraph } from './inference.js';
export { type Block, type BlockKind, type Part, partsOf, type Trunk } from './trunk.js';

export function createTrunk(config: NetworkConfig): Trunk {
  return cifarResnet(config);
}
