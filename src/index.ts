/**
 * hpff: build ONNX training graphs, module by module.
 *
 * Graphs of typed values and operators, their differentiation, layers and optimizers, local learning, and the ONNX models they become.
 * `hpff/node` and `hpff/web` add what runs them.
 */
export * from './errors.js';
export type { DType, HostTensor, NamedTensors } from './files/tensor.js';
export * from './recipe/index.js';
export { checkModel } from './onnx/check.js';
export { decodeModel } from './onnx/decode.js';
export { encodeModel } from './onnx/encode.js';
export type * from './onnx/model.js';
export * from './graph/index.js';
export * from './grad/index.js';
export { blocked, cut, type GraphSlice, lower, type Lowering, type NamedValue, portable } from './lower/index.js';
export * from './nn/index.js';
export * from './networks/index.js';
export * from './local/index.js';
export { buildGraphs, type GraphSet } from './artifacts/graphs.js';
export type { GraphOptions } from './artifacts/plan.js';
export type * from './artifacts/manifest.js';
export { version } from './version.js';
