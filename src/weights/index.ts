/** Weights from and for other programs: their names for our tensors, and what a file of them lacks. */
export { fitWeights, type FitOptions, type FittedWeights, resettable, type Resettable } from './fit.js';
export { namingNames, type NamingName } from './naming.js';
export { stateDict } from './state-dict.js';
