/** The runtime of browsers: onnxruntime-web. */
export type { Ort } from './ort.js';
export { createWebRuntime, type WebRuntimeOptions } from './runtime.js';
