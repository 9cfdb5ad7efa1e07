/** The native runtime: ONNX Runtime's C API, called by foreign function interface. */
export { availableProviders, createNativeRuntime, type NativeRuntimeOptions } from './runtime.js';
