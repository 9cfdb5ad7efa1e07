/** Differentiation of graphs. */
export { gradients, type Seed } from './gradients.js';
