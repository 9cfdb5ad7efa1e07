/** From a recipe to an engine on a runtime that is there already, for any device: in standard operators. */
import { buildSharedGraphs, type Manifest } from '../artifacts/index.js';
import { InputError } from '../errors.js';
import { portable } from '../lower/index.js';
import type { Recipe } from '../recipe/types.js';
import type { Runtime } from '../runtime/runtime.js';
import { stepScheduleNames } from './schedule-names.js';
import { StepEngine } from './step-engine.js';

export interface OnRuntimeOptions {
  /** One graph of the whole step, or, in less memory, a set of graphs for each module (default). */
  readonly schedule?: 'fused' | 'sync';
  /** Also compute gradients as outputs, for `StepRun.wantsGradients`. */
  readonly gradients?: boolean;
}

/**
 * Builds the graphs and loads them. The engine is to be loaded with weights, and in the end disposed of; the runtime stays the caller's.
 * @throws InputError for another schedule; where split or patches of the recipe do not fit its network, or the runtime refuses a graph
 */
export async function openOnRuntime(
  recipe: Recipe,
  runtime: Runtime,
  { schedule = 'sync', gradients = false }: OnRuntimeOptions = {},
): Promise<{ engine: StepEngine; manifest: Manifest }> {
  if (!stepScheduleNames.includes(schedule)) {
    const allowed = stepScheduleNames.join(', ');
    throw new InputError('SCHEDULE_UNKNOWN', `schedule: found ${String(schedule)}, allowed: ${allowed}`);
  }
  const graphs = buildSharedGraphs(recipe, { lowering: portable, schedules: [schedule], gradients });
  return { engine: await StepEngine.create(runtime, graphs, { schedule }), manifest: graphs.manifest };
}
