/** Local learning: splits, heads, rules and the graph of a training step. */
export { type BlockCost, blockCosts } from './block-costs.js';
export { type ModuleCost, moduleCosts } from './cost.js';
export { initialWeights } from './initial-weights.js';
export { keptByModule, keptBytes, type KeptBytes } from './kept-bytes.js';
export { buildStep, type LocalModule, type LossTerm, type StepGraph } from './step.js';
export { partition } from './partition.js';
export { passingBytes, type PassingBytes } from './passing-bytes.js';
export { splitBlocks } from './split.js';
export { type Phase, sectionOf, type StepShape, stepTasks, type Task } from './tasks.js';
