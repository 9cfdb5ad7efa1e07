/** Evaluating what lies on the disk: a run folder, or an image classifier in an `.onnx` file. */
import { stat } from 'node:fs/promises';
import { averagedWeights, buildGraphs, checkWeights } from '../artifacts/index.js';
import { type AnyDataset, isInMemory } from '../data/dataset.js';
import { openDataset } from '../data/open.js';
import { InputError, RunError } from '../errors.js';
import { loadClassifier } from '../export/index.js';
import { readError } from '../files/system-errors.js';
import type { NamedTensors } from '../files/tensor.js';
import { chooseLowering } from '../pipeline/index.js';
import { encodeModel } from '../onnx/encode.js';
import type { DataConfig, DatasetName, Recipe } from '../recipe/index.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { DeviceTensor, Runtime } from '../runtime/runtime.js';
import { evaluate, type Evaluation, type Score } from './evaluate.js';
import { evaluationLoader } from './evaluation-loader.js';
import { readRun } from './run-folder.js';

export interface EvaluateModelOptions {
  /** Folder of the data set's files; needed where they are not bundled. */
  readonly data?: string;
  /** Default: that of the model's recipe. */
  readonly dataset?: DatasetName;
  /** Default: all cores. */
  readonly threads?: number;
  /** Of a run's network. Default `auto`. */
  readonly lowering?: string;
  /** Whether a run that keeps moving averages of its weights is evaluated with them. Default true. */
  readonly ema?: boolean;
  /** Told what a model gets that says nothing of how its images are prepared. */
  readonly warn?: (line: string) => void;
}

export interface ModelEvaluation extends Evaluation {
  readonly dataset: DatasetName;
}

/** Something that scores images of one size, and how the images are to be prepared. */
interface Scorer extends Disposable {
  readonly image: readonly [number, number, number];
  readonly classes: number;
  /** null: a model that says nothing of its data. */
  readonly data: DataConfig | null;
  readonly score: Score;
}

/**
 * Accuracy and loss on the test split. Images are prepared as the model's recipe says, which a run has and an exported model
 * carries. Any other model gets pixel values in [0, 1], grey repeated for its channels and centred on black for its size.
 *
 * @param path a run folder (its latest checkpoint counts) or an `.onnx` file
 * @throws InputError as `readRun`, `loadClassifier` and `openDataset`; `EVALUATE_DATASET` where it is not known which data set is
 * meant, `DATA_CLASSES` where the model has fewer classes than that; RunError `EVALUATE_NOT_FINITE`
 */
export async function evaluateModel(path: string, options: EvaluateModelOptions = {}): Promise<ModelEvaluation> {
  const runtime = await createNativeRuntime(options.threads === undefined ? {} : { threads: options.threads });
  try {
    using scorer = await openScorer(path, runtime, options);
    const name = options.dataset ?? scorer.data?.dataset;
    if (name === undefined) {
      throw new InputError('EVALUATE_DATASET', `${path}: says nothing of its data set; name it by --dataset`);
    }
    const columns = scorer.data?.columns ?? null;
    const dataset = await openDataset(name, 'test', { path: options.data, columns, classes: scorer.classes });
    checkScorerClasses(path, scorer.classes, dataset);
    const config = scorer.data ?? plainPixels(name, dataset, scorer.image);
    if (!scorer.data) options.warn?.(`${path}: says nothing of how images are prepared: it gets ${inWords(config)}`);
    const found = await evaluate(scorer.score, evaluationLoader(dataset, config, scorer.image));
    if (!Number.isFinite(found.loss)) {
      throw new RunError(
        'EVALUATE_NOT_FINITE',
        `${path}: loss is ${found.loss}: the model gives scores that are no numbers`,
      );
    }
    return { dataset: name, ...found };
  } finally {
    runtime.dispose();
  }
}

/** Known data sets may have fewer classes than the model; folders of images must be those that it was trained on. */
function checkScorerClasses(path: string, found: number, dataset: AnyDataset): void {
  const { name, classes } = dataset;
  if (isInMemory(dataset) ? found >= classes : found === classes) return;
  const allowed = isInMemory(dataset) ? 'at least as many' : 'as many';
  throw new InputError(
    'DATA_CLASSES',
    `${path}: has ${found} classes, but ${name} has ${classes}; allowed: ${allowed}`,
  );
}

async function openScorer(
  path: string,
  runtime: Runtime,
  { lowering, ema = true }: EvaluateModelOptions,
): Promise<Scorer> {
  if (await isFolder(path)) {
    const { recipe, checkpoint } = await readRun(path);
    const weights = ema ? averagedWeights(checkpoint.weights, checkpoint.optimizer) : checkpoint.weights;
    return TrunkScorer.open(runtime, recipe, weights, checkpoint.folder, lowering);
  }
  const classifier = await loadClassifier(path, runtime);
  return {
    image: classifier.image,
    classes: classifier.classes,
    data: classifier.recipe?.data ?? null,
    score: (image) => classifier.score(image),
    [Symbol.dispose]: () => classifier.dispose(),
  };
}

/** The trunk of a recipe in inference mode. */
class TrunkScorer implements Scorer {
  private constructor(
    private readonly recipe: Recipe,
    readonly score: Score,
    private readonly close: () => void,
  ) {}

  /** @throws InputError as `checkWeights` */
  static async open(
    runtime: Runtime,
    recipe: Recipe,
    weights: NamedTensors,
    where: string,
    lowering = 'auto',
  ): Promise<TrunkScorer> {
    const graphs = buildGraphs(recipe, {
      lowering: (await chooseLowering(lowering, runtime)).lowering,
      schedules: [],
      batch: 2,
    });
    const checked = checkWeights(weights, graphs.manifest.parameters, where);
    const entry = graphs.manifest.graphs.find(({ phase }) => phase === 'eval')!;
    const session = await runtime.createSession(encodeModel(graphs.models.get(entry.file)!), { name: entry.file });
    const parameters = new Map<string, DeviceTensor>();
    for (const { name, meaning } of entry.inputs) {
      if (meaning !== 'image') parameters.set(name, runtime.upload(checked.get(name)!));
    }
    const score: Score = async (image) => {
      using input = runtime.upload(image);
      const outputs = await session.run(new Map([...parameters, ['image', input]]));
      using logits = outputs.get('logits')!;
      return logits.read().data as Float32Array;
    };
    return new TrunkScorer(recipe, score, () => {
      for (const tensor of parameters.values()) tensor.dispose();
      session.dispose();
    });
  }

  get image(): Scorer['image'] {
    return this.recipe.network.image;
  }

  get classes(): number {
    return this.recipe.network.classes;
  }

  get data(): DataConfig {
    return this.recipe.data;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Pixel values in [0, 1], made to fit where that is possible; where not, the loader says why. */
function plainPixels(name: DatasetName, dataset: AnyDataset, image: Scorer['image']): DataConfig {
  return {
    dataset: name,
    batch: 1,
    normalize: { mean: [0], std: [1] },
    augment: { resizedCrop: null, crop: null, flip: false },
    resize: null,
    columns: null,
    convert: isInMemory(dataset) ? plainConversion(dataset.image, image) : null,
  };
}

function plainConversion(found: Scorer['image'], [channels, height, width]: Scorer['image']): DataConfig['convert'] {
  const [stored, storedHeight, storedWidth] = found;
  const repeat = stored === 1 && channels > 1 ? channels : null;
  const pad = storedHeight < height || storedWidth < width ? ([height, width] as const) : null;
  return repeat === null && pad === null ? null : { channels: repeat, pad };
}

function inWords({ convert }: DataConfig): string {
  const repeated = convert?.channels ? `, grey repeated to ${convert.channels} channels` : '';
  const padded = convert?.pad ? `, centred on black to ${convert.pad.join(' × ')} pixels` : '';
  return `pixel values in [0, 1]${repeated}${padded}`;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw readError(path, error);
  }
}
