/** The recipe, as the rest of the code sees it: validated, defaults filled in. One JSON file, as those under `graphs/`. */
import type { ImagenetDepth, VggDepth } from './network-stages.js';

export interface Recipe {
  readonly name: string;
  readonly network: NetworkConfig;
  readonly split: SplitConfig;
  readonly local: LocalConfig;
  /** Absent where no label is smoothed. */
  readonly loss?: LossConfig;
  readonly optimizer: OptimizerConfig;
  readonly schedule: ScheduleConfig;
  readonly data: DataConfig;
  readonly seed: number;
}

export type NetworkConfig = CifarResnetConfig | ImagenetResnetConfig | VggConfig;

interface CommonNetworkConfig {
  readonly classes: number;
  /** [channels, height, width] */
  readonly image: readonly [number, number, number];
}

/** Depth 6n+2; widths are those of stem and three stages. */
export interface CifarResnetConfig extends CommonNetworkConfig {
  readonly type: 'cifar-resnet';
  readonly depth: number;
  readonly widths: readonly [number, number, number, number];
}

/** ResNet and ResNeXt for large images. */
export interface ImagenetResnetConfig extends CommonNetworkConfig {
  readonly type: 'imagenet-resnet';
  readonly depth: ImagenetDepth;
  /** Of the 3×3 convolutions in bottlenecks. */
  readonly groups: number;
  /** Channels of a group in the first stage, at width 64. */
  readonly widthPerGroup: number;
  /** Channels of the stem. */
  readonly width: number;
}

/** VGG with batch norm. */
export interface VggConfig extends CommonNetworkConfig {
  readonly type: 'vgg';
  readonly depth: VggDepth;
  /** Channels of the first stage. */
  readonly width: number;
  /** Width of the two hidden linear layers of the classifier; null: a global average pool and one linear layer. */
  readonly hidden: number | null;
}

/** By count (published tables, balanced elsewhere or where `balance` is given), or by the last block of each module. */
export type SplitConfig =
  { readonly modules: number; readonly balance?: 'memory' | 'time' } | { readonly boundaries: readonly string[] };

export type LocalRule = 'bp' | 'dgl' | 'infopro' | 'predsim' | 'auglocal';

export type HeadKind = 'decoder' | 'classifier' | 'similarity';

/** At the first and at the last module; linear over those between. */
export type LambdaPair = readonly [number, number];

export type ClassifierNet = '0c1f' | '0c2f' | '1c1f' | '1c2f' | '1c3f' | '2c2f' | 'dgl' | 'imagenet';

/** Up to the image's size at once, or in doublings. */
export type DecoderNet = 'cifar' | 'imagenet';

export interface LocalConfig {
  readonly rule: LocalRule;
  /** HiLo: weights of the independent and of the cascade loss. null: no HiLo. With cascade 0 as without, all losses weighted by `independent`. */
  readonly hierarchy: { readonly independent: number; readonly cascade: number } | null;
  readonly classifier: {
    readonly net: ClassifierNet;
    /** Width of the hidden linear layers. */
    readonly features: number;
    /** Multiplies the channels of the head's convolutions. */
    readonly widen: number;
    readonly loss: 'cross-entropy' | 'contrastive';
    /** Temperature of the contrastive loss. */
    readonly temperature: number;
  };
  /** null where the rule has no decoder (all but `infopro`). */
  readonly decoder: { readonly net: DecoderNet; readonly widen: number } | null;
  /** Loss weights of the heads, 0 for those that the rule does not have. */
  readonly lambda: Readonly<Record<HeadKind, LambdaPair>>;
  /** Heads of rule `auglocal`: blocks in that of the first module, and how far this falls (0 … 1). null for other rules. */
  readonly auglocal: { readonly depth: number; readonly coefficient: number } | null;
  /** PFF. null: heads see the whole map. */
  readonly patches: {
    readonly grid: number;
    readonly on: readonly HeadKind[];
    readonly weights: 'separate' | 'shared';
    readonly fuse: 'sum' | 'mean';
  } | null;
  /** How often batch-norm running statistics of interior modules advance per step (the released code: 3). */
  readonly runningStatsPasses: number;
}

export interface LossConfig {
  /** ε: a label stands for (1-ε)·one-hot + ε/classes, in all cross-entropies that are trained with. */
  readonly labelSmoothing: number;
}

/** Factors of the learning rate, 1 where they are absent. */
export interface LearningRateFactors {
  /** Of each module with its heads; linear between the first and the last, or one by one. */
  readonly modules?: readonly number[] | { readonly first: number; readonly last: number };
  /** Of the heads of all modules, besides. */
  readonly heads?: number;
}

/** What every optimizer has, beside its own; absent where it is switched off. */
export interface CommonOptimizerConfig {
  /** Largest L2 norm of the gradients that one update has: of a module, or of a head. */
  readonly clipNorm?: number;
  /** Whether vectors (biases, scale and shift of batch norm) have weight decay. */
  readonly decayVectors?: boolean;
  /** Moving average of the weights. */
  readonly ema?: { readonly decay: number; readonly warmup: boolean };
  readonly learningRateFactors?: LearningRateFactors;
  /** Images that are run at once, a divisor of the batch. */
  readonly microBatch?: number;
}

export type OptimizerConfig = CommonOptimizerConfig & OwnOptimizerConfig;

type OwnOptimizerConfig =
  | {
      readonly type: 'sgd';
      readonly learningRate: number;
      readonly momentum: number;
      readonly nesterov: boolean;
      readonly weightDecay: number;
    }
  | {
      readonly type: 'adamw';
      readonly learningRate: number;
      readonly beta1: number;
      readonly beta2: number;
      readonly epsilon: number;
      readonly weightDecay: number;
    };

export type ScheduleConfig =
  | { readonly type: 'constant'; readonly epochs: number; readonly warmupEpochs: number }
  | { readonly type: 'cosine'; readonly epochs: number; readonly warmupEpochs: number }
  | {
      readonly type: 'step';
      readonly epochs: number;
      readonly warmupEpochs: number;
      /** Epochs (1-based) after which the rate is multiplied by `gamma`. */
      readonly milestones: readonly number[];
      readonly gamma: number;
    };

/** Data sets of images of one size, which are read into memory. */
export type MemoryDatasetName = 'digits' | 'fashion-mnist' | 'mnist' | 'cifar10' | 'cifar100' | 'svhn' | 'stl10';

/** Those of encoded images of any size, which stay on the disk. */
export type EncodedDatasetName = 'image-folder' | 'parquet';

export type DatasetName = MemoryDatasetName | EncodedDatasetName;

export interface DataConfig {
  readonly dataset: DatasetName;
  /** Images per optimizer step. */
  readonly batch: number;
  /** So many images of the training split are used. Absent: all. */
  readonly trainImages?: number | undefined;
  /** Per channel, of pixel values in [0, 1]. */
  readonly normalize: { readonly mean: readonly number[]; readonly std: readonly number[] };
  readonly augment: {
    /**
     * A random part of each image, resized to `network.image`: bounds of its share of the area, and of its width over its height.
     * null for data sets in memory.
     */
    readonly resizedCrop: {
      readonly scale: readonly [number, number];
      readonly ratio: readonly [number, number];
    } | null;
    readonly crop: { readonly pad: number; readonly mode: 'zero' | 'reflect' } | null;
    readonly flip: boolean;
  };
  /**
   * Pixels that the shorter side of encoded images is resized to before `network.image` is cut from their centre. null for data sets
   * in memory.
   */
  readonly resize: number | null;
  /** Names of the columns of parquet files. null for other data sets. */
  readonly columns: { readonly image: string; readonly label: string } | null;
  /** How stored images become `network.image`: grey repeated to `channels`, zero-padded (centred) to `pad` [H, W]. */
  readonly convert: {
    readonly channels: number | null;
    readonly pad: readonly [number, number] | null;
    /** Pixels along each side of a cell that is averaged into one, before the padding. Absent: 1. */
    readonly shrink?: number | undefined;
  } | null;
}
