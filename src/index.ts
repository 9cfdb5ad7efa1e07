/** hpff: build ONNX training graphs, module by module. */
export * from './errors.js';
export type * from './recipe/types.js';
