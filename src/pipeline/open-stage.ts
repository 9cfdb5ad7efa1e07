/** Some modules of a recipe, ready to be trained as a stage of a pipeline whose other stages are elsewhere. */
import { buildSharedGraphs, type Manifest, runsPerStep } from '../artifacts/index.js';
import type { Lowering } from '../lower/index.js';
import { UpdateRule } from '../nn/index.js';
import type { Recipe } from '../recipe/types.js';
import type { Runtime } from '../runtime/runtime.js';
import { HostedModules } from './hosted-modules.js';
import { LoadedGraphs } from './loaded-graphs.js';
import type { Host } from './orchestrator.js';
import { collectGarbage } from './process-memory.js';
import { TaskRunner } from './task-runner.js';

export interface OpenStage extends Host, Disposable {}

/**
 * @param modules indices
 * @param gradients whether steps can give the gradients of parameters; default: they cannot
 * @throws InputError where split or patches of the recipe do not fit its network
 */
export async function openStage(
  recipe: Recipe,
  runtime: Runtime,
  lowering: Lowering,
  modules: readonly number[],
  gradients = false,
): Promise<OpenStage> {
  const { manifest, graphs } = await loadStage(recipe, runtime, lowering, modules, gradients);
  collectGarbage();
  runtime.trim();
  const hosted = new Set(modules);
  const runner = new TaskRunner(runtime, manifest, hosted);
  return {
    manifest,
    runtime,
    runner,
    optimizer: new UpdateRule(recipe.optimizer, runsPerStep(manifest)),
    hosted: new HostedModules(manifest, hosted),
    graphs: graphs.byFile,
    [Symbol.dispose]: () => {
      runner.dispose();
      graphs.dispose();
    },
  };
}

/** The graphs are garbage when this returns. */
async function loadStage(
  recipe: Recipe,
  runtime: Runtime,
  lowering: Lowering,
  modules: readonly number[],
  gradients: boolean,
): Promise<{ manifest: Manifest; graphs: LoadedGraphs }> {
  const { manifest, uses } = buildSharedGraphs(recipe, {
    lowering,
    schedules: ['sync'],
    modules: new Set(modules),
    gradients,
  });
  const entries = manifest.graphs.filter(({ module }) => module !== null && modules.includes(module));
  return { manifest, graphs: await LoadedGraphs.load(runtime, uses, entries, ({ file }) => ({ name: file })) };
}
