/** What of `network` depends on several keys at once: what cannot be, and what stands where a recipe is silent. */
import type { Issue } from './issues.js';
import type { RecipeShape } from './schema/index.js';
import type { ImagenetResnetConfig, NetworkConfig } from './types.js';

/** Images from this side on get the classifier of the paper. */
const VGG_HIDDEN_SIDE = 224;

export function fillNetwork(network: RecipeShape['network']): NetworkConfig {
  if (network.type !== 'vgg') return network;
  const [, height, width] = network.image;
  const isLarge = Math.min(height, width) >= VGG_HIDDEN_SIDE;
  return { ...network, hidden: network.hidden === undefined ? (isLarge ? 4096 : null) : network.hidden };
}

/** What is wrong with a network of the right shape. */
export function networkIssues(network: RecipeShape['network']): Issue[] {
  return network.type === 'imagenet-resnet' ? groupIssues(network) : [];
}

/** Groups are those of bottlenecks, and have whole numbers of channels. */
function groupIssues({ depth, groups, widthPerGroup, width }: ImagenetResnetConfig): Issue[] {
  if (depth < 50) {
    const issues: Issue[] = [];
    const where = 'below depth 50, whose blocks have no groups';
    if (groups !== 1) issues.push({ path: ['network', 'groups'], allowed: `1 ${where}` });
    if (widthPerGroup !== 64) issues.push({ path: ['network', 'widthPerGroup'], allowed: `64 ${where}` });
    return issues;
  }
  if ((width * widthPerGroup) % 64 === 0) return [];
  const step = 64 / greatestCommonDivisor(width, 64);
  const allowed = `a multiple of ${step} (a group of the first stage has width · widthPerGroup / 64 channels, width being ${width})`;
  return [{ path: ['network', 'widthPerGroup'], allowed }];
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));
