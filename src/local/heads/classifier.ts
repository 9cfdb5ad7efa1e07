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

/** @param label int64 [N] */
export function classifierHead(config: ClassifierConfig, classes: number, label: Value): Head {
  // A contrastive head ends in a feature vector, the others in class scores.
  const outputs = config.loss === 'contrastive' ? config.features : classes;
  return {
    kind: 'classifier',
    build: (context, features) =>
      config.net === 'dgl'
        ? dglNet(context, features, config.features, outputs)
        : convNet(context, features, config, outputs),
    loss: (output) =>
      config.loss === 'contrastive'
        ? supervisedContrastive(output, label, classes, config.temperature)
        : softmaxCrossEntropy(output, label),
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
