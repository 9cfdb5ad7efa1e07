/** The native runtime: ONNX Runtime's C API, called by foreign function interface. */
export { type DeviceStatus, listDevices, type Missing } from './devices/index.js';
export { availableProviders, createNativeRuntime, type NativeRuntimeOptions } from './runtime.js';
