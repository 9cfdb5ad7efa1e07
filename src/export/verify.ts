/** Whether an exported model computes what the trained trunk computes, before anybody gets to see it. */
import { RunError } from '../errors.js';
import { float32, type HostTensor, type NamedTensors } from '../files/tensor.js';
import { encodeModel } from '../onnx/encode.js';
import type { Recipe } from '../recipe/types.js';
import type { DeviceTensor, Runtime, Session } from '../runtime/runtime.js';
import { trunkModel } from './model.js';

/** Largest difference of logits that counts as rounding, relative to the largest logit. Rounding itself stays below 1e-5. */
export const tolerance = 1e-4;

/** Images that run at once. */
const chunkSize = 64;

export interface Verification {
  readonly images: number;
  /** max |Δlogits| / max |logits|, over all images and classes. */
  readonly maxRelativeDifference: number;
}

/**
 * Runs the model and the trunk, unfolded, on the same images. Where it returns, every logit agrees to within `tolerance` of
 * the largest; hence the class is the same wherever the two best logits are further apart than twice that.
 *
 * @param model bytes of the exported model; it is loaded with all of ONNX Runtime's optimizations, as its users will
 * @param images float32 [N, C, H, W], N ≥ 1, normalised
 * @throws RunError `EXPORT_DIFFERS`; `EXPORT_NOT_FINITE` where the trunk itself gives infinities or NaN
 */
export async function verifyExport(
  runtime: Runtime,
  recipe: Recipe,
  weights: NamedTensors,
  model: Uint8Array,
  images: HostTensor<'float32'>,
): Promise<Verification> {
  const expected = await trunkLogits(runtime, recipe, weights, images);
  const found = await modelLogits(runtime, model, images);
  const maxRelativeDifference = relativeDifference(expected, found);
  const [count] = images.shape as [number];
  if (!(maxRelativeDifference <= tolerance)) {
    throw new RunError(
      'EXPORT_DIFFERS',
      `${recipe.name}: on ${count} images the exported model's logits differ from the trained trunk's by ` +
        `${maxRelativeDifference.toExponential(1)} of the largest, allowed: ${tolerance}; it was not written`,
    );
  }
  return { images: count, maxRelativeDifference };
}

async function trunkLogits(
  runtime: Runtime,
  recipe: Recipe,
  weights: NamedTensors,
  images: HostTensor<'float32'>,
): Promise<Float32Array> {
  using session = await runtime.createSession(encodeModel(trunkModel(recipe)), { name: 'trained trunk' });
  using uploaded = new Uploads(runtime);
  for (const name of session.inputs) if (name !== 'image') uploaded.add(name, weights.get(name)!);
  const logits = await logitsOf(runtime, session, uploaded.tensors, images);
  const at = logits.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    throw new RunError(
      'EXPORT_NOT_FINITE',
      `${recipe.name}: the trained trunk gives a logit of ${logits[at]} on image ${Math.floor(at / recipe.network.classes)} ` +
        'of those to verify with: the weights have diverged',
    );
  }
  return logits;
}

async function modelLogits(runtime: Runtime, model: Uint8Array, images: HostTensor<'float32'>): Promise<Float32Array> {
  using session = await runtime.createSession(model, { name: 'exported model', optimization: 'all' });
  return await logitsOf(runtime, session, new Map(), images); // the session must live until then
}

/** Logits of all images, [N·classes], a chunk at a time. */
async function logitsOf(
  runtime: Runtime,
  session: Session,
  parameters: ReadonlyMap<string, DeviceTensor>,
  images: HostTensor<'float32'>,
): Promise<Float32Array> {
  const [count, ...image] = images.shape as [number, ...number[]];
  const pixels = images.data.length / count;
  const parts: Float32Array[] = [];
  for (let start = 0; start < count; start += chunkSize) {
    const end = Math.min(start + chunkSize, count);
    const chunk = float32([end - start, ...image], images.data.subarray(start * pixels, end * pixels));
    using input = runtime.upload(chunk);
    const outputs = await session.run(new Map([...parameters, ['image', input]]));
    using logits = outputs.get('logits')!;
    parts.push(logits.read().data as Float32Array);
  }
  return concatenated(parts);
}

/** max |found - expected| / max |expected|; NaN where `found` holds NaN or has another length. */
function relativeDifference(expected: Float32Array, found: Float32Array): number {
  if (expected.length !== found.length) return NaN;
  let largest = 0;
  let difference = 0;
  for (const [i, value] of expected.entries()) {
    largest = Math.max(largest, Math.abs(value));
    difference = Math.max(difference, Math.abs(found[i]! - value)); // NaN stays
  }
  return difference === 0 ? 0 : difference / largest;
}

function concatenated(parts: readonly Float32Array[]): Float32Array {
  const result = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** Tensors in the runtime's memory that are released together. */
class Uploads implements Disposable {
  readonly tensors = new Map<string, DeviceTensor>();

  constructor(private readonly runtime: Runtime) {}

  add(name: string, tensor: HostTensor): void {
    this.tensors.set(name, this.runtime.upload(tensor));
  }

  [Symbol.dispose](): void {
    for (const tensor of this.tensors.values()) tensor.dispose();
  }
}
