/** Building graphs: `Graph`, `Value` and the operators as functions. */
export { Graph, type Node, Value } from './graph.js';
export type { OpAttributes, OpName } from './operators.js';
export * from './types.js';
export * from './ops/elementwise.js';
export * from './ops/layout.js';
export * from './ops/reduce.js';
export * from './ops/linear.js';
export * from './ops/conv.js';
export * from './ops/norm.js';
export * from './ops/pool.js';
export * from './ops/loss.js';
