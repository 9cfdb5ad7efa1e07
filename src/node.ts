/** hpff in Node: train and evaluate on ONNX Runtime. */
export * from './index.js';
export type * from './runtime/runtime.js';
