/** Exporting a run: its recipe, its weights, and images of its own data to verify the model with. */
import { batchOf } from '../data/batches.js';
import type { AnyDataset } from '../data/dataset.js';
import { hasDefaultFolder } from '../data/load.js';
import { createLoader, openDataset } from '../data/open.js';
import { InputError } from '../errors.js';
import { type ExportedFile, writeExport } from '../export/index.js';
import { elementCount, float32, type HostTensor } from '../files/tensor.js';
import { Random } from '../random.js';
import type { Recipe } from '../recipe/index.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import { refuseRunFile } from './run-folder.js';
import { type ModelSource, readTrainedModel } from './trained-model.js';

export interface ExportOptions extends ModelSource {
  /** Folder of the data set's files, where they are not bundled. */
  readonly data?: string | undefined;
  readonly threads?: number | undefined;
}

export interface ExportedRun extends ExportedFile {
  /** What the model was verified with: a data set's test images, or random ones. */
  readonly verifiedWith: string;
}

/** Most images to verify with, and most values that they have together. */
const imageLimit = 256;
const valueLimit = 2 ** 22;
/** Where there is no data set. */
const randomImages = 64;

/**
 * Writes the inference model of a run folder.
 *
 * @param run as `readTrainedModel` takes it
 * @throws InputError where recipe, checkpoint, weights or data are missing or do not fit; as `refuseRunFile` and `writeExport`
 */
export async function exportRun(run: string, file: string, options: ExportOptions = {}): Promise<ExportedRun> {
  await refuseRunFile(run, file);
  const { recipe, weights } = await readTrainedModel(run, options);
  const { images, source } = await verificationImages(recipe, options.data);
  using runtime = await createNativeRuntime({ threads: options.threads });
  return { ...(await writeExport(file, recipe, weights, images, runtime)), verifiedWith: source };
}

/** Test images of the recipe's data set if they can be had, else seeded noise, which normalised images resemble. */
async function verificationImages(
  recipe: Recipe,
  folder: string | undefined,
): Promise<{ images: HostTensor<'float32'>; source: string }> {
  const dataset = await testImages(recipe, folder);
  if (dataset === null) return { images: noise(recipe), source: 'random images' };
  const { image } = recipe.network;
  const batch = Math.max(1, Math.min(imageLimit, Math.floor(valueLimit / elementCount(image))));
  const loader = createLoader(dataset, { ...recipe.data, batch }, image, { seed: recipe.seed, train: false });
  return { images: (await batchOf(loader, 0, 0)).image, source: `test images of ${dataset.name}` };
}

/** null where the user named no folder and the data are not where they are looked for by themselves. */
async function testImages({ data, network }: Recipe, folder: string | undefined): Promise<AnyDataset | null> {
  if (folder === undefined && !hasDefaultFolder(data.dataset)) return null;
  try {
    const { columns } = data;
    return await openDataset(data.dataset, 'test', { path: folder, columns, classes: network.classes });
  } catch (error) {
    if (folder === undefined && error instanceof InputError && error.code === 'DATASET_MISSING') return null;
    throw error;
  }
}

/** Standard normal pixels. */
function noise({ network, seed }: Recipe): HostTensor<'float32'> {
  const shape = [randomImages, ...network.image];
  const random = new Random(seed, 'export');
  return float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => random.normal()),
  );
}
