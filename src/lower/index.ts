/** From logical operators to ONNX models. */
export { lower, type Lowering, ruleWriter } from './lower.js';
export { blocked } from './blocked/index.js';
export { portable, portableRules } from './portable/index.js';
export { microsoft, ortEvaluation, ortTraining, trainingRuntime, trainingTarget } from './ort-training/index.js';
export { cut, type GraphSlice, type NamedValue } from './slice.js';
export { type ConstantNumber, formOf, type SliceForm } from './slice-form.js';
export { InPlaceProof } from './in-place.js';
export { executionOrder, orderLeaves } from './execution-order.js';
export { hideBatch } from './hide-batch.js';
export { type KnownShape, valueShapes } from './value-shapes.js';
export { bufferSteps, type BufferStep } from './buffers.js';
export { bufferBytes, graphMemory, type GraphMemory } from './graph-memory.js';
