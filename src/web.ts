/** hpff in browsers: training, evaluation and export on onnxruntime-web. */
export * from './index.js';
export { decodeSafetensors, type Safetensors } from './files/safetensors/decode.js';
export { encodeSafetensors } from './files/safetensors/encode.js';
export * from './weights/index.js';
export type * from './runtime/runtime.js';
export { createWebRuntime, type Ort, type WebRuntimeOptions } from './runtime/web/index.js';
export { exportModel } from './export/model.js';
export type { Batch, Dataset } from './data/dataset.js';
export { type IdxContent, idxDataset } from './data/idx-dataset.js';
export { Loader } from './data/loader.js';
export { prefetch } from './data/prefetch.js';
export { openOnRuntime, type OnRuntimeOptions } from './pipeline/open-on-runtime.js';
export type { StepEngine } from './pipeline/step-engine.js';
export type { StepLosses, StepReport } from './pipeline/engine.js';
export { evaluate, type Evaluation, type Score } from './train/evaluate.js';
export * from './train/in-memory.js';
