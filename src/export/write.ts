/** Writing an exported model: built, verified, and only then put in its place. */
import { writeFileAtomic } from '../files/atomic.js';
import type { HostTensor, NamedTensors } from '../files/tensor.js';
import { checkModel } from '../onnx/check.js';
import { encodeModel } from '../onnx/encode.js';
import type { Recipe } from '../recipe/types.js';
import type { Runtime } from '../runtime/runtime.js';
import { exportModel } from './model.js';
import { type Verification, verifyExport } from './verify.js';

export interface ExportedFile extends Verification {
  /** Size of the file. */
  readonly bytes: number;
}

/**
 * Writes the model of `exportModel` to a file. What was there before is replaced only by a model that was verified.
 *
 * @param weights all parameters and running statistics of the trunk
 * @param images float32 [N, C, H, W] to verify with
 * @throws RunError as `verifyExport`; InputError or RunError as `writeFileAtomic`
 */
export async function writeExport(
  file: string,
  recipe: Recipe,
  weights: NamedTensors,
  images: HostTensor<'float32'>,
  runtime: Runtime,
): Promise<ExportedFile> {
  const model = exportModel(recipe, weights);
  checkModel(model, { where: 'the exported model' });
  const bytes = encodeModel(model);
  const verification = await verifyExport(runtime, recipe, weights, bytes, images);
  await writeFileAtomic(file, bytes);
  return { ...verification, bytes: bytes.byteLength };
}
