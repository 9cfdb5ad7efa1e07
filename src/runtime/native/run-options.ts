/** The options of every run. */
import { obtain, check } from './calls.js';
import type { OrtFunctions, Pointer } from './functions.js';

let shared: Pointer | undefined;

/**
 * One set of options serves all runs. At the exit of the process it stops them after the node that they are at; the process would
 * otherwise wait for graphs whose results nobody can take any more.
 */
export function runOptions(api: OrtFunctions): Pointer {
  return (shared ??= createOptions(api));
}

function createOptions(api: OrtFunctions): Pointer {
  const options = obtain(api, (out) => api.CreateRunOptions(out));
  process.once('exit', () => check(api, api.RunOptionsSetTerminate(options)));
  return options;
}
