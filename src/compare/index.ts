/** Comparisons of recipes: accuracy over seeds, time, memory. */
export { compare, type CompareListener, type CompareOptions, type RunPlace } from './compare.js';
export type { ComparedRecipe, ComparedRun, Comparison, RunStatus } from './document.js';
export type { Answer, SharedOptions } from './messages.js';
export type { Statistic } from './statistics.js';
export { resultTable } from './markdown.js';
export type { GivenRecipe } from './subjects.js';
