/** ONNX Runtime's training API, in the libraries that have it. */
export type { SessionFiles, TrainingLibrary, TrainingSession } from './session.js';
export { openWebTraining } from './web.js';
