/** Networks by the name that a recipe gives them. */
import type { NetworkConfig } from '../recipe/types.js';
import { cifarResnet } from './cifar-resnet.js';
import { imagenetResnet } from './imagenet-resnet.js';
import type { Trunk } from './trunk.js';
import { vgg } from './vgg.js';

export { inferenceGraph, type InferenceGraph } from './inference.js';
export { type Block, type BlockKind, type Part, partsOf, type Trunk } from './trunk.js';

export function createTrunk(config: NetworkConfig): Trunk {
  switch (config.type) {
    case 'cifar-resnet':
      return cifarResnet(config);
    case 'imagenet-resnet':
      return imagenetResnet(config);
    case 'vgg':
      return vgg(config);
  }
}
