import { describe, expect, it, test } from 'vitest';
import { createTrunk, inferenceGraph } from '../networks/index.js';
import type { NetworkConfig } from '../recipe/types.js';
import { namingNames, namingOf, recognizeNaming, trackedName } from './naming.js';

const cifar: NetworkConfig = {
  type: 'cifar-resnet',
  depth: 14,
  widths: [2, 2, 4, 4],
  classes: 10,
  image: [1, 8, 8],
};
const common = { classes: 10, image: [3, 32, 32] } as const;
const imagenet: NetworkConfig = {
  type: 'imagenet-resnet',
  depth: 50,
  groups: 1,
  widthPerGroup: 64,
  width: 8,
  ...common,
};
const vgg: NetworkConfig = { type: 'vgg', depth: 16, width: 2, hidden: 8, ...common };

const namesOf = (network: NetworkConfig): string[] =>
  inferenceGraph(createTrunk(network)).parameters.map(({ name }) => name);

const torchvision = (network: NetworkConfig) => namingOf('torchvision', network, namesOf(network));

describe('torchvision', () => {
  it.each([
    [cifar, 'stem.conv.weight', 'conv1.weight'],
    [cifar, 'stem.bn.running_var', 'bn1.running_var'],
    [cifar, 'layer1.0.conv1.weight', 'layer1.0.conv1.weight'],
    [cifar, 'layer2.0.downsample.conv.weight', 'layer2.0.downsample.0.weight'],
    [cifar, 'layer2.0.downsample.bn.running_mean', 'layer2.0.downsample.1.running_mean'],
    [cifar, 'fc.bias', 'fc.bias'],
    [imagenet, 'stem.conv.weight', 'conv1.weight'],
    [imagenet, 'layer4.2.bn3.bias', 'layer4.2.bn3.bias'],
    [imagenet, 'layer1.0.downsample.conv.weight', 'layer1.0.downsample.0.weight'],
    // torchvision.models.vgg16_bn: convolutions at 0, 3 | 7, 10 | 14, 17, 20 | 24, 27, 30 | 34, 37, 40, linear layers at 0, 3, 6.
    [vgg, 'layer1.0.conv.weight', 'features.0.weight'],
    [vgg, 'layer1.0.bn.running_mean', 'features.1.running_mean'],
    [vgg, 'layer1.1.conv.weight', 'features.3.weight'],
    [vgg, 'layer2.0.conv.weight', 'features.7.weight'],
    [vgg, 'layer3.2.bn.bias', 'features.21.bias'],
    [vgg, 'layer5.2.conv.weight', 'features.40.weight'],
    [vgg, 'classifier.fc1.weight', 'classifier.0.weight'],
    [vgg, 'classifier.fc2.bias', 'classifier.3.bias'],
    [vgg, 'classifier.fc3.bias', 'classifier.6.bias'],
  ])('%# calls %s', (network, own, theirs) => {
    expect(namesOf(network)).toContain(own);
    expect(torchvision(network).theirs(own)).toBe(theirs);
  });

  it("has a bias for VGG's convolutions only", () => {
    expect(torchvision(vgg).absorbedBias('layer2.1.bn.running_mean')).toBe('features.10.bias');
    expect(torchvision(cifar).absorbedBias('stem.bn.running_mean')).toBeNull();
  });
});

test.each([cifar, imagenet, vgg])('no naming gives two tensors of $type one name', (network) => {
  const own = namesOf(network);
  for (const name of namingNames) expect(new Set(own.map(namingOf(name, network, own).theirs)).size).toBe(own.length);
});

describe('recognizeNaming', () => {
  it.each([cifar, imagenet, vgg])('tells whose names the tensors of $type have, some missing or not', (network) => {
    const own = namesOf(network);
    for (const name of namingNames) {
      const theirs = own.map(namingOf(name, network, own).theirs);
      expect(recognizeNaming(new Set(theirs), network, own)).toBe(name);
      expect(recognizeNaming(new Set(theirs.slice(0, 3)), network, own)).toBe(name);
    }
  });

  it('takes what it does not know for ours', () => {
    expect(recognizeNaming(new Set(['x']), cifar, namesOf(cifar))).toBe('hpff');
  });
});

test("PyTorch's count of batches stands beside the running mean", () => {
  expect(trackedName('bn1.running_mean')).toBe('bn1.num_batches_tracked');
});
