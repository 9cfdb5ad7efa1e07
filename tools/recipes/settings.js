/** What the papers train with: data sets, networks and local rules, each as a piece of a recipe. */

const sgd = (learningRate) => ({ type: 'sgd', learningRate, momentum: 0.9, nesterov: true, weightDecay: 1e-4 });
const half = { mean: [0.5], std: [0.5] };
const cifarEpochs = { type: 'cosine', epochs: 400, warmupEpochs: 10 };

/** Data sets of small images: those of the table in the HPFF paper (section 4.1). */
export const smallImages = {
  cifar10: {
    image: [3, 32, 32],
    optimizer: sgd(0.8),
    schedule: cifarEpochs,
    data: {
      dataset: 'cifar10',
      batch: 1024,
      normalize: { mean: [0.4914, 0.4824, 0.4467], std: [0.2471, 0.2435, 0.2616] },
      augment: { crop: { pad: 4, mode: 'reflect' }, flip: true },
    },
  },
  svhn: {
    image: [3, 32, 32],
    optimizer: sgd(0.8),
    schedule: cifarEpochs,
    data: { dataset: 'svhn', batch: 1024, normalize: half, augment: { crop: { pad: 2, mode: 'zero' }, flip: false } },
  },
  stl10: {
    image: [3, 96, 96],
    optimizer: sgd(0.1),
    schedule: cifarEpochs,
    data: { dataset: 'stl10', batch: 128, normalize: half, augment: { crop: { pad: 4, mode: 'zero' }, flip: true } },
  },
};

/** ResNets for small images, and the numbers of modules that the papers cut them into. */
export const smallNetworks = {
  resnet32: { depth: 32, modules: [8, 16] },
  resnet110: { depth: 110, modules: [32, 55] },
};

/** ImageNet (HPFF's and InfoPro's published programs). */
export const imagenet = {
  optimizer: sgd(0.05),
  schedule: { type: 'cosine', epochs: 90, warmupEpochs: 0 },
  data: {
    dataset: 'image-folder',
    batch: 128,
    normalize: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    augment: { resizedCrop: {}, flip: true },
  },
};

export const imagenetNetworks = {
  resnet101: { depth: 101 },
  resnet152: { depth: 152 },
  'resnext101-32x8d': { depth: 101, groups: 32, widthPerGroup: 8 },
};

/** Ends of the modules for K = 4, in all three networks. */
export const imagenetBoundaries = ['layer3.0', 'layer3.9', 'layer3.17', 'layer4.2'];

/** λ of InfoPro without HPFF, from its published commands; those for 16 modules serve for more, those of ResNet-110 where ResNet-32 has none. */
export function infoproLambda(dataset, network, modules) {
  const few = modules <= 8;
  if (dataset === 'svhn') return few ? lambda([5, 0.5], [0, 2]) : lambda([5, 0.5], [0.2, 1]);
  if (dataset === 'stl10') return few ? lambda([20, 5], [0.2, 1]) : lambda([20, 10], [0.5, 0.1]);
  if (network === 'resnet110') return lambda([5, 0.5], [0, 1]);
  return few ? lambda([5, 0], [0, 2]) : lambda([5, 0.2], [0.05, 0.5]);
}

export const lambda = (decoder, classifier) => ({ decoder, classifier });

/** HiLo as published. */
export const hierarchy = { independent: 0.001, cascade: 0.999 };

/** PFF as in the paper. */
export const averaged = (...on) => ({ grid: 2, on, weights: 'shared', fuse: 'mean' });

/** PFF as in the authors' program. */
export const released = { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' };
