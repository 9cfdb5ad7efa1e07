/** Layers, losses, initialisation and optimizers as graph functions. */
export { supervisedContrastive } from './contrastive.js';
export { initialize } from './initialize.js';
export { LayerContext, type LayerMode, type StatisticsTracking } from './layer-context.js';
export { batchNorm, conv2d, dense, resizedConv2d } from './layers.js';
export { createOptimizer } from './optimizers.js';
export { type Initializer, type ParameterSpec, ParameterStore } from './parameters.js';
export { averagePrefix, type StateSpec, type StepScalar } from './step-values.js';
export { type GroupSettings, UpdateRule } from './update-rule.js';
