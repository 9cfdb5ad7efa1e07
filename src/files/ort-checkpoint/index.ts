/** Checkpoints of ONNX Runtime's training API. */
export { decodeOrtCheckpoint } from './decode.js';
export { encodeOrtCheckpoint } from './encode.js';
export type { OptimizerState, OrtCheckpoint } from './format.js';
