/** Loading an image classifier from an `.onnx` file: one that hpff exported, or any other of the same form. */
import { dirname } from 'node:path';
import { InputError, RunError, UsageError } from '../errors.js';
import { decodeJson } from '../files/json.js';
import { printable, quoted } from '../files/printable.js';
import { readFileBytes } from '../files/read.js';
import { elementCount, float32, type HostTensor } from '../files/tensor.js';
import { checkModel } from '../onnx/check.js';
import { decodeModel } from '../onnx/decode.js';
import { encodeModel } from '../onnx/encode.js';
import { externalReader } from '../onnx/external.js';
import type { OnnxModel } from '../onnx/model.js';
import { parseRecipe } from '../recipe/index.js';
import type { Recipe } from '../recipe/types.js';
import type { Runtime, Session } from '../runtime/runtime.js';
import { metadataKeys } from './model.js';
import { type ClassifierPorts, classifierPorts } from './ports.js';

export interface Classifier extends Disposable {
  /** The recipe that the model was exported with; null where it names none. */
  readonly recipe: Recipe | null;
  /** [channels, height, width] */
  readonly image: readonly [number, number, number];
  readonly classes: number;
  /**
   * Scores of images, as the model gives them (an hpff export: logits).
   *
   * @param image float32 [N, C, H, W], prepared as the model wants it; any N ≥ 1, also where the model's batch is fixed
   * @returns [N·classes], image by image
   * @throws UsageError for images of another shape; RunError where the model fails on them
   */
  score(image: HostTensor<'float32'>): Promise<Float32Array>;
  dispose(): void;
}

/** The most that the format allows. */
const maxBytes = 2 ** 31 - 1;

/**
 * Loads a model with one input float32 [N, C, H, W], C, H and W fixed, and one output float32 [N, classes]. A black image is run
 * once, to see that it works.
 *
 * @throws InputError `FILE_…` as `readFileBytes`; `ONNX_…` where it is not a valid ONNX model; `CLASSIFIER_INPUT`,
 * `CLASSIFIER_OUTPUT` where inputs or outputs are others; `MODEL_REJECTED` where ONNX Runtime does not load it and
 * `CLASSIFIER_BROKEN` where it does not run it; `JSON_…`, `RECIPE_INVALID` where the recipe in it is broken
 */
export async function loadClassifier(path: string, runtime: Runtime): Promise<Classifier> {
  const { model, bytes } = await readClassifier(path);
  checkModel(model, { where: path, foreign: true });
  const ports = classifierPorts(model.graph, printable(path));
  const recipe = recipeOf(model, path);
  const session = await runtime.createSession(bytes, { name: printable(path), optimization: 'all' });
  try {
    const classes = await probe(runtime, session, ports, path);
    return new LoadedClassifier(runtime, session, ports, recipe, classes);
  } catch (error) {
    session.dispose();
    throw error;
  }
}

/** The model, and bytes that hold all of it. */
async function readClassifier(path: string): Promise<{ model: OnnxModel; bytes: Uint8Array }> {
  const bytes = await readFileBytes(path, maxBytes);
  const outside = externalReader(dirname(path));
  let hasExternalData = false;
  const model = decodeModel(bytes, path, {
    readExternal: (reference) => {
      hasExternalData = true;
      return outside(reference);
    },
  });
  if (!hasExternalData) return { model, bytes };
  try {
    return { model, bytes: encodeModel(model) };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const reason = `has external data and cannot be put together in memory: ${error.message}`;
    throw new InputError('ONNX_UNSUPPORTED', `${printable(path)}: ${reason}`, { cause: error });
  }
}

function recipeOf(model: OnnxModel, path: string): Recipe | null {
  const text = model.metadata?.[metadataKeys.recipe];
  if (text === undefined) return null;
  const where = `${path}: metadata ${metadataKeys.recipe}`;
  return parseRecipe(decodeJson(Buffer.from(text), where), where);
}

/** Runs a black image. @returns the number of classes */
async function probe(runtime: Runtime, session: Session, ports: ClassifierPorts, path: string): Promise<number> {
  const batch = ports.batch ?? 1;
  const black = float32([batch, ...ports.image], new Float32Array(elementCount([batch, ...ports.image])));
  const { dtype, shape } = await runOnce(runtime, session, ports, black).catch((error: unknown): never => {
    if (!(error instanceof RunError)) throw error;
    const reason = `cannot be run on a black image of its own size: ${error.message}`;
    throw new InputError('CLASSIFIER_BROKEN', `${printable(path)}: ${reason}`, { cause: error });
  });
  const [rows, classes] = shape;
  if (dtype === 'float32' && shape.length === 2 && rows === batch && classes! > 0) return classes!;
  throw new InputError(
    'CLASSIFIER_OUTPUT',
    `${printable(path)}: output ${quoted(ports.output, 60)} for a batch of ${batch}: found ${dtype} ` +
      `[${shape.join(', ')}], allowed: float32 [${batch}, classes]`,
  );
}

async function runOnce(
  runtime: Runtime,
  session: Session,
  ports: ClassifierPorts,
  image: HostTensor<'float32'>,
): Promise<HostTensor> {
  using input = runtime.upload(image);
  const outputs = await session.run(new Map([[ports.input, input]]));
  using scores = outputs.get(ports.output)!;
  return scores.read();
}

class LoadedClassifier implements Classifier {
  constructor(
    private readonly runtime: Runtime,
    private readonly session: Session,
    private readonly ports: ClassifierPorts,
    readonly recipe: Recipe | null,
    readonly classes: number,
  ) {}

  get image(): readonly [number, number, number] {
    return this.ports.image;
  }

  async score(images: HostTensor<'float32'>): Promise<Float32Array> {
    const [count = 0, ...image] = images.shape;
    if (count < 1 || image.join() !== this.image.join()) {
      const allowed = `[N, ${this.image.join(', ')}] with N ≥ 1`;
      throw new UsageError(
        'CLASSIFIER_IMAGES',
        `images are [${images.shape.join(', ')}], the classifier takes ${allowed}`,
      );
    }
    const batch = this.ports.batch ?? count;
    const pixels = images.data.length / count;
    const scores = new Float32Array(count * this.classes);
    for (let start = 0; start < count; start += batch) {
      const part = images.data.subarray(start * pixels, Math.min(start + batch, count) * pixels);
      const found = await this.scoreBatch(padded(part, batch * pixels), batch);
      scores.set(found.subarray(0, (part.length / pixels) * this.classes), start * this.classes);
    }
    return scores;
  }

  dispose(): void {
    this.session.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private async scoreBatch(pixels: Float32Array, batch: number): Promise<Float32Array> {
    const image = float32([batch, ...this.image], pixels);
    const { data, shape } = await runOnce(this.runtime, this.session, this.ports, image);
    if (shape.join() === `${batch},${this.classes}`) return data as Float32Array;
    throw new RunError(
      'CLASSIFIER_OUTPUT',
      `session '${this.session.name}': output ${quoted(this.ports.output, 60)} for a batch of ${batch} is [${shape.join(', ')}], ` +
        `must be [${batch}, ${this.classes}]`,
    );
  }
}

/** The values, with zeros after them up to `length`. */
function padded(values: Float32Array, length: number): Float32Array {
  if (values.length === length) return values;
  const result = new Float32Array(length);
  result.set(values);
  return result;
}
