/** Classifier heads: small networks that predict the label from a module's features. */
import {
  adaptiveAveragePool,
  flatten,
  globalAveragePool,
  relu,
  softmaxCrossEntropy,
  staticDim,
  type Value,
} from '../../graph/index.js';
import { batchNorm, conv2d, dense, type LayerContext, supervisedContrastive } from '../../nn/index.js';
import type { LocalConfig } from '../../recipe/types.js';
import type { Head } from './head.js';

type ClassifierConfig = LocalConfig['classifier'];

/**
 * @param label int64 [N]
 * @param finalWidth channels that the trunk's last block gives; the net `imagenet` goes by them
 * @param labelSmoothing of the cross-entropy
 */
export function classifierHead(
  config: ClassifierConfig,
  classes: number,
  label: Value,
  finalWidth = 0,
  labelSmoothing = 0,
): Head {
  // A contrastive head ends in a feature vector, the others in class scores.
  const outputs = config.loss === 'contrastive' ? config.features : classes;
  return {
    kind: 'classifier',
    build: (context, features) => {
      switch (config.net) {
        case 'dgl':
          return dglNet(context, features, config.features, outputs);
        case 'imagenet':
          return imagenetNet(context, features, finalWidth, config.widen, outputs);
        default:
          return convNet(context, features, config, outputs);
      }
    },
    loss: (output) =>
      config.loss === 'contrastive'
        ? supervisedContrastive(output, label, classes, config.temperature)
        : softmaxCrossEntropy(output, label, labelSmoothing),
  };
}

/**
 * `AcBf`: A convolutions 3×3 + BN + ReLU, global average pool, B linear layers with ReLU between (InfoPro, Wang et al. 2021,
 * appendix). The first convolution doubles the channels up to 64 and halves the map, except at 64 channels or more.
 */
function convNet(context: LayerContext, features: Value, config: ClassifierConfig, outputs: number): Value {
  const convolutions = Number(config.net[0]);
  const linears = Number(config.net[2]);
  const channels = staticDim(features.shape, 1);
  const width = Math.min(64, 2 * channels) * config.widen;
  let x = features;
  for (let i = 1; i <= convolutions; i++) {
    const stride = i === 1 && channels < 64 ? 2 : 1;
    const y = conv2d(context, `conv${i}`, x, { out: width, kernel: 3, stride, padding: 1 });
    x = relu(batchNorm(context, `bn${i}`, y));
  }
  x = globalAveragePool(x);
  for (let i = 1; i < linears; i++) x = relu(dense(context, `fc${i}`, x, config.features));
  return dense(context, `fc${linears}`, x, outputs);
}

/**
 * The MLP head of decoupled greedy learning (Belilovsky et al. 2020, `MLP-SR-aux`): pool to a quarter of the map, three 1×1
 * convolutions + BN + ReLU, pool to 2×2, two linear layers + BN + ReLU, a linear layer.
 */
function dglNet(context: LayerContext, features: Value, hidden: number, outputs: number): Value {
  const channels = staticDim(features.shape, 1);
  const quarter = (axis: number): number => Math.ceil(staticDim(features.shape, axis) / 4);
  let x = adaptiveAveragePool(features, [quarter(2), quarter(3)]);
  for (let i = 1; i <= 3; i++) {
    x = relu(batchNorm(context, `bn${i}`, conv2d(context, `conv${i}`, x, { out: channels, kernel: 1 })));
  }
  x = flatten(adaptiveAveragePool(x, [2, 2]));
  for (let i = 1; i <= 2; i++) x = relu(batchNorm(context, `bn${i + 3}`, dense(context, `fc${i}`, x, hidden)));
  return dense(context, 'fc3', x, outputs);
}

/**
 * The head of InfoPro's and HPFF's programs for ImageNet: conv1×1, conv3×3 and conv3×3 with stride 2, conv1×1, each + BN + ReLU, global average pool, linear
 * layer. Behind maps of 256, 512, 1024 and 2048 channels of a network that ends in 2048 their widths are 128 (256 at 1024, 512 at 2048), 256 (512),
 * 512 (1024), 2048; other networks have them in proportion.
 */
function imagenetNet(
  context: LayerContext,
  features: Value,
  finalWidth: number,
  widen: number,
  outputs: number,
): Value {
  const narrow = Math.max(Math.ceil(finalWidth / 16), Math.ceil(staticDim(features.shape, 1) / 4));
  const middle = Math.max(Math.ceil(finalWidth / 8), narrow);
  const layers = [
    { out: narrow, kernel: 1 },
    { out: middle, kernel: 3, stride: 2, padding: 1 },
    { out: 2 * middle, kernel: 3, stride: 2, padding: 1 },
    { out: finalWidth, kernel: 1 },
  ];
  const x = layers.reduce((y, layer, i) => {
    const z = conv2d(context, `conv${i + 1}`, y, { ...layer, out: layer.out * widen });
    return relu(batchNorm(context, `bn${i + 1}`, z));
  }, features);
  return dense(context, 'fc1', globalAveragePool(x), outputs);
}
