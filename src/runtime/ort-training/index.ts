/** ONNX Runtime's training API, in the libraries that have it. */
export { openNativeTraining } from './native/index.js';
export type { SessionFiles, TrainingLibrary, TrainingSession } from './session.js';
export { openWebTraining } from './web.js';
