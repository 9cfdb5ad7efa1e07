/** hpff in Node: files and data sets, ONNX Runtime, training, evaluation, export. */
export * from './index.js';
export { readSafetensors, writeSafetensors } from './files/safetensors.js';
export { recipeHash } from './recipe/hash.js';
export { readRecipe } from './recipe/read.js';
export * from './artifacts/index.js';
export {
  isArtifactFolder,
  readArtifacts,
  readManifest,
  type SealedManifest,
  writeArtifacts,
} from './artifacts/folder.js';
export * from './artifacts/ort-training/index.js';
export * from './weights/index.js';
export type * from './runtime/runtime.js';
export { createNativeRuntime, type NativeRuntimeOptions } from './runtime/native/index.js';
export * from './export/index.js';
export type { Batch, Dataset } from './data/dataset.js';
export { loadDataset } from './data/load.js';
export { Loader } from './data/loader.js';
export { prefetch } from './data/prefetch.js';
export * from './pipeline/index.js';
export * from './train/index.js';
export { type ReportOptions, writeReport, type WrittenReport } from './report/index.js';
export {
  compare,
  type CompareListener,
  type CompareOptions,
  type Comparison,
  type GivenRecipe,
} from './compare/index.js';
